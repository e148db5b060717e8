-- What the target's columns refuse although their type fits: the type with its modifier
-- (NULL: it has none), and NULLs.
SELECT a.attname,
       pg_catalog.format_type(a.atttypid, NULL) AS type,
       CASE WHEN a.atttypmod >= 0
            THEN pg_catalog.format_type(a.atttypid, a.atttypmod) END AS limited_type,
       a.attnotnull AS is_required
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
