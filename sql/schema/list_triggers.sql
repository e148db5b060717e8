-- The triggers that may change, drop or refuse what is written to the target or to one of its
-- partitions.
SELECT DISTINCT g.tgname::text AS name
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    SELECT c.oid AS place UNION SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)
) AS part
JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = part.place
WHERE n.nspname = %(schema)s AND c.relname = %(table)s
  AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
  AND g.tgtype::integer & 20 <> 0
ORDER BY name
