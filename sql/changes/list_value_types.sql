-- The types of the target's columns whose values are no strings in JSON, with their columns.
-- A domain has the type below it; without a limit of their own, values are not cut.
SELECT pg_catalog.format_type(b.oid, -1), array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type AS b
    ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
  AND a.attnum > 0 AND NOT a.attisdropped AND b.typcategory NOT IN ('S', 'E')
GROUP BY b.oid
ORDER BY b.oid
