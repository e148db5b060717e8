-- The target's columns that a write may change, and whether more of them may change than
-- the statement says: by a BEFORE UPDATE trigger, which partitions may have of their own.
SELECT a.attname::text,
       c.relkind = 'p' OR EXISTS (
           SELECT FROM pg_catalog.pg_trigger AS g
           WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
             AND g.tgtype::integer & 19 = 19) AS has_triggers
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
  AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
