-- What a run wrote is taken back: what unfinished runs read of these cars before is newer again.
DELETE FROM carsync.superseded AS s
USING carsync.changes AS c
WHERE c.run_id = %(run_id)s AND s.id = c.id AND s.latest_run >= c.run_id
  AND s.run_id IN (
      SELECT r.run_id FROM carsync.runs AS r
      WHERE r.schema_name = %(schema)s AND r.table_name = %(table)s AND r.source = %(source)s)
