-- What the target's columns refuse although their type fits: the type with its modifier
-- (NULL: it has none; of an enum or a domain its own name), and NULLs.
SELECT a.attname,
       CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain'
            ELSE pg_catalog.format_type(a.atttypid, NULL) END AS type,
       CASE WHEN a.atttypmod >= 0 OR t.typtype IN ('d', 'e')
            THEN pg_catalog.format_type(a.atttypid, a.atttypmod) END AS limited_type,
       a.attnotnull AS is_required
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
