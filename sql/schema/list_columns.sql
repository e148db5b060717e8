-- The target's columns: name, type (an enum's is `enum`, a domain's is that below it), whether a row may leave it out, whether it is computed, and
-- whether two of its texts are equal only where they are the same.
SELECT a.attname,
       CASE WHEN t.typname = 'citext' THEN 'citext' -- wherever its extension is
            WHEN t.typtype = 'e' THEN 'enum'
            WHEN t.typtype = 'd' THEN pg_catalog.format_type(t.typbasetype, NULL)
            ELSE pg_catalog.format_type(a.atttypid, NULL) END AS type,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS must_be_given,
       a.attgenerated <> '' OR a.attidentity = 'a' AND a.attname <> %(id_column)s AS is_computed,
       t.typname <> 'citext' AND coalesce(l.collisdeterministic, true) AS is_exact
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
