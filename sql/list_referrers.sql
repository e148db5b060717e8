-- Foreign keys that lead to the target from tables that this role may read, and the columns
-- that are equal.
SELECT n.nspname::text, c.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(num, place)
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num
             ORDER BY u.place) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(num, place)
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.num
             ORDER BY u.place) AS referred
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
  AND k.confrelid = (
      SELECT t.oid FROM pg_catalog.pg_class AS t
      JOIN pg_catalog.pg_namespace AS s ON s.oid = t.relnamespace
      WHERE s.nspname = %(schema)s AND t.relname = %(table)s)
  AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 1, 2, k.conname
