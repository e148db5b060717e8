SELECT {columns}
FROM carsync.runs
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND replay_of IS NULL AND reverts IS NULL AND scope = 'whole'
  AND state IN ('complete', 'held')
ORDER BY run_id DESC
LIMIT 1
