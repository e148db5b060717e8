-- The target's CHECK constraints, each with the columns that it looks at. PostgreSQL 18
-- knows some that are not enforced.
SELECT k.conname,
       pg_catalog.pg_get_expr(k.conbin, k.conrelid) AS condition,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
             WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)) AS columns
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND k.contype = 'c'
  AND coalesce(array_length(k.conkey, 1), 0) > 0
  AND to_jsonb(k) ->> 'conenforced' IS DISTINCT FROM 'false'
ORDER BY k.conname
