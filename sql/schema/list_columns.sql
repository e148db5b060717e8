-- The target's columns: name, type, whether a row may leave it out, whether it is computed.
SELECT a.attname,
       pg_catalog.format_type(a.atttypid, NULL) AS type,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS must_be_given,
       a.attgenerated <> '' OR a.attidentity = 'a' AS is_computed
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
