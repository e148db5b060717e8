-- Whether the table is there, for a role that may look into its schema.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'carsync' AND c.relname = 'requests'
      AND has_schema_privilege(n.oid, 'USAGE'))
