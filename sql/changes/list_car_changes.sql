-- What runs wrote into one car, the newest first, as far as it is remembered.
SELECT c.run_id, r.merged_at, c.action, c.before, c.after
FROM carsync.changes AS c
JOIN carsync.runs AS r USING (run_id)
WHERE c.id = %(id)s AND r.schema_name = %(schema)s AND r.table_name = %(table)s
ORDER BY c.run_id DESC
LIMIT %(limit)s
