-- The newest run that read the feed in one of these modes, all of it or part, and was merged.
SELECT {columns}
FROM carsync.runs
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND replay_of IS NULL AND reverts IS NULL
  AND counts IS NOT NULL AND mode = ANY (%(modes)s::text[])
ORDER BY run_id DESC
LIMIT 1
