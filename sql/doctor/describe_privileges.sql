-- What the role may do for each step of a run; NULL where the thing does not exist.
SELECT current_user::text,
       current_database()::text,
       has_database_privilege(current_database(), 'CREATE') AS create_in_database,
       has_schema_privilege(own.oid, 'USAGE') AS use_own_schema,
       has_schema_privilege(own.oid, 'CREATE') AS create_in_own_schema,
       NOT EXISTS (SELECT FROM pg_class AS c WHERE c.relnamespace = own.oid AND c.relkind = 'r'
                   AND NOT pg_has_role(c.relowner, 'USAGE')) AS owns_own_tables,
       has_schema_privilege(its.oid, 'USAGE') AS use_schema,
       coalesce(has_schema_privilege(its.oid, 'CREATE'), false) AS create_in_schema,
       pg_has_role(target.relowner, 'USAGE') AS owns_target,
       pg_has_role(target.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE')
           OR CASE WHEN current_setting('server_version_num')::integer >= 170000
                   THEN has_table_privilege(target.oid, 'MAINTAIN') END AS may_analyze
FROM pg_database AS d
LEFT JOIN pg_namespace AS own ON own.nspname = 'carsync'
LEFT JOIN pg_namespace AS its ON its.nspname = %(schema)s
LEFT JOIN pg_class AS target ON target.relnamespace = its.oid AND target.relname = %(table)s
WHERE d.datname = current_database()
