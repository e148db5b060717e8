-- The target's columns that a write may change; whether two equal values of one look the
-- same (else they are compared byte by byte, which takes longer); and whether more columns
-- may change than a statement says: by a BEFORE UPDATE trigger, which partitions may have of
-- their own.
SELECT a.attname::text,
       t.typname IN ('text', 'int4', 'int8', 'bool', 'timestamptz', 'timestamp')
           AND coalesce(l.collisdeterministic, true) AS is_plain,
       c.relkind = 'p' OR EXISTS (
           SELECT FROM pg_catalog.pg_trigger AS g
           WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D'
             AND g.tgtype::integer & 19 = 19) AS has_triggers
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
  AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
