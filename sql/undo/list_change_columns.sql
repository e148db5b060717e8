-- The columns that the run's changes speak of, with their full type in the target; NULL where
-- it has no such column any more.
SELECT told.name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
FROM (
    SELECT DISTINCT k.name
    FROM carsync.changes AS c
    CROSS JOIN LATERAL jsonb_object_keys(c.before) AS k(name)
    WHERE c.run_id = %(run_id)s AND c.action = ANY (%(actions)s::text[])
) AS told
LEFT JOIN (
    pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        AND n.nspname = %(schema)s AND c.relname = %(table)s
) ON a.attname = told.name AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY told.name
