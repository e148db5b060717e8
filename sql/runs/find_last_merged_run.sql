-- The newest run that read the feed, all of it or part, and was merged.
SELECT {columns}
FROM carsync.runs
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND replay_of IS NULL AND reverts IS NULL AND mode <> 'refresh'
  AND counts IS NOT NULL
ORDER BY run_id DESC
LIMIT 1
