-- Foreign keys that lead to the target, or to a partition of it; the columns that are equal;
-- whether this role sees all rows that refer; and whether these are deleted or written too
-- where the row that they refer to is deleted.
SELECT n.nspname::text, c.relname::text,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(num, place)
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num
             ORDER BY u.place) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(num, place)
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.num
             ORDER BY u.place) AS referred,
       has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) AS is_readable,
       k.confdeltype IN ('c', 'n', 'd') AS takes_along
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
  AND k.confrelid IN (
      SELECT t.oid FROM pg_catalog.pg_class AS t
      JOIN pg_catalog.pg_namespace AS s ON s.oid = t.relnamespace
      WHERE s.nspname = %(schema)s AND t.relname = %(table)s
      UNION ALL
      SELECT p.relid FROM pg_catalog.pg_class AS t
      JOIN pg_catalog.pg_namespace AS s ON s.oid = t.relnamespace
      CROSS JOIN LATERAL pg_catalog.pg_partition_tree(t.oid) AS p
      WHERE s.nspname = %(schema)s AND t.relname = %(table)s)
ORDER BY 1, 2, k.conname
