-- Unfinished runs that will not be resumed.
UPDATE carsync.runs
SET state = 'abandoned', finished_at = clock_timestamp()
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND run_id IS DISTINCT FROM %(keep_run_id)s AND counts IS NULL
  AND state IN ('running', 'interrupted', 'failed')
