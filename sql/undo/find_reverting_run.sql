-- The newest run that took this one back.
SELECT max(run_id) FROM carsync.runs WHERE reverts = %(run_id)s AND counts IS NOT NULL
