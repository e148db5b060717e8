-- The run's lines, and those that are copies: written by a transaction that was not its own.
SELECT count(*), count(*) FILTER (WHERE (c.xmin = ANY (r.change_xids)) IS NOT TRUE)
FROM carsync.changes AS c
JOIN carsync.runs AS r ON r.run_id = c.run_id
WHERE c.run_id = %(run_id)s
