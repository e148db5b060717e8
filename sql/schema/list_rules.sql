-- The rules by which the server rewrites what is inserted into the target, or updated in it.
SELECT r.rulename::text
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
  AND r.ev_type IN ('2', '3') AND r.ev_enabled IN ('O', 'A')
ORDER BY r.rulename
