-- Cars that earlier runs of the run's target and source missed or hold.
SELECT a.id
FROM carsync.absences AS a
JOIN carsync.runs AS r USING (schema_name, table_name, source)
WHERE r.run_id = {run_id}
LIMIT %(limit)s
