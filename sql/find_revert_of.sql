-- The newest run that took back, in whole or in part, what a run did.
SELECT run_id
FROM carsync.runs
WHERE reverts = %(run_id)s AND counts IS NOT NULL
ORDER BY run_id DESC
LIMIT 1
