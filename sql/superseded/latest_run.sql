-- The latest run of this target and source on record; dry runs come and go.
(SELECT coalesce(max(latest.run_id), 0)
 FROM carsync.runs AS ours
 JOIN carsync.runs AS latest USING (schema_name, table_name, source)
 WHERE ours.run_id = {run_id} AND latest.scope <> 'dry')
