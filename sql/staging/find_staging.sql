-- Are the run's tables there, its ids of the kind that the target's are now?
SELECT to_regclass({staging}) IS NOT NULL AND to_regclass({ledger}) IS NOT NULL
   AND NOT EXISTS (
       SELECT FROM carsync.runs AS r
       JOIN pg_catalog.pg_namespace AS n ON n.nspname = r.schema_name
       JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = r.table_name
       JOIN pg_catalog.pg_attribute AS theirs
           ON theirs.attrelid = c.oid AND theirs.attname = 'id' AND NOT theirs.attisdropped
       JOIN pg_catalog.pg_type AS its ON its.oid = theirs.atttypid
       JOIN pg_catalog.pg_attribute AS ours
           ON ours.attrelid = to_regclass({staging}) AND ours.attname = 'id'
       JOIN pg_catalog.pg_type AS own ON own.oid = ours.atttypid
       WHERE r.run_id = {run_id} AND own.typcategory <> its.typcategory)
