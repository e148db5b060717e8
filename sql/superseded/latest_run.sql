-- The latest run of this target and source on record; dry runs come and go. It is found by the end
-- of an index, however many runs there were: each batch of staged pages asks for it.
(SELECT coalesce(max(latest.run_id), 0)
 FROM carsync.runs AS ours
 CROSS JOIN LATERAL (
     SELECT max(other.run_id) AS run_id
     FROM carsync.runs AS other
     WHERE other.schema_name = ours.schema_name AND other.table_name = ours.table_name
       AND other.source = ours.source AND other.scope <> 'dry') AS latest
 WHERE ours.run_id = {run_id})
