-- How many pages the feed had in the last run of this mode that read all of it.
SELECT (summary -> 'snapshot' ->> 'pages_planned')::integer
FROM carsync.runs
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND mode = %(mode)s AND scope = 'whole' AND replay_of IS NULL AND reverts IS NULL
  AND counts IS NOT NULL AND summary IS NOT NULL
ORDER BY run_id DESC
LIMIT 1
