-- Take an unfinished run over; the new token fences out whoever ran it before.
UPDATE carsync.runs
SET state = 'running', token = gen_random_uuid(), resumed_at = clock_timestamp(),
    finished_at = NULL, exit_code = NULL
WHERE run_id = %(run_id)s AND counts IS NULL
  AND state IN ('running', 'interrupted', 'failed', 'held')
RETURNING {columns}
