-- No row: the run was merged already, given up, or taken over by another process.
SELECT started_at FROM carsync.runs
WHERE run_id = %(run_id)s AND token = %(token)s AND state = 'running' AND counts IS NULL
FOR UPDATE
