-- The type of the target's column of ids, as the server writes it; no row where it has none.
SELECT pg_catalog.format_type(a.atttypid, NULL) AS type
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
  AND a.attname = %(id_column)s AND a.attnum > 0 AND NOT a.attisdropped
