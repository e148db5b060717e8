-- Rejects of all runs but the newest merged ones and the newest one, which may be unfinished:
-- a later reading superseded the others, or they failed. A refresh of single cars is no reading.
DELETE FROM carsync.rejects AS j
USING carsync.runs AS r
WHERE r.run_id = j.run_id
  AND r.schema_name = %(schema)s AND r.table_name = %(table)s AND r.source = %(source)s
  AND r.run_id NOT IN (
      SELECT run_id FROM carsync.runs
      WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
        AND replay_of IS NULL AND reverts IS NULL AND mode <> 'refresh' AND counts IS NOT NULL
      ORDER BY run_id DESC
      LIMIT %(keep)s)
  AND r.run_id NOT IN (
      SELECT run_id FROM carsync.runs
      WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
        AND replay_of IS NULL AND reverts IS NULL AND mode <> 'refresh'
      ORDER BY run_id DESC
      LIMIT least(%(keep)s, 1))
