-- What stands at the target's name; no row where nothing does.
SELECT c.relkind::text AS kind,
       row_security_active(c.oid) AS row_security,
       has_table_privilege(c.oid, 'SELECT') AS may_select,
       has_table_privilege(c.oid, 'INSERT') AS may_insert,
       has_table_privilege(c.oid, 'UPDATE') AS may_update,
       EXISTS (
           SELECT FROM pg_catalog.pg_index AS i
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = %(id_column)s
           WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
             AND i.indpred IS NULL AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
       ) AS id_is_unique,
       EXISTS (
           SELECT FROM pg_catalog.pg_attribute AS a
           JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
           JOIN pg_catalog.pg_attribute AS theirs
               ON theirs.attrelid = c.oid AND theirs.attname = 'external_id'
           JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisunique
               AND i.indnkeyatts = 1 AND i.indkey[0] = theirs.attnum
           WHERE a.attrelid = c.oid AND a.attname = %(id_column)s AND t.typcategory <> 'S'
             AND (a.atthasdef OR a.attidentity <> '')
       ) AS has_own_ids,
       greatest(c.reltuples, 0)::bigint AS rows_estimate
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
