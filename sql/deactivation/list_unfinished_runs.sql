-- Runs of target and source, begun after `run_id`, that may have staged pages but are not merged.
SELECT run_id
FROM carsync.runs
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND run_id > %(run_id)s AND counts IS NULL
ORDER BY run_id
