-- Rejects of all runs but those since the oldest of the newest merged ones of the whole feed, where
-- they were merged or are unfinished, and of the newest run: a later reading superseded the others,
-- or they failed.
DELETE FROM carsync.rejects AS j
USING carsync.runs AS r
WHERE r.run_id = j.run_id
  AND r.schema_name = %(schema)s AND r.table_name = %(table)s AND r.source = %(source)s
  AND NOT (
      %(keep)s > 0 AND r.replay_of IS NULL AND r.reverts IS NULL
      AND (r.counts IS NOT NULL OR r.state IN ('running', 'interrupted', 'failed', 'held'))
      AND r.run_id >= coalesce((
          SELECT min(kept.run_id)
          FROM (
              SELECT run_id FROM carsync.runs
              WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
                AND replay_of IS NULL AND reverts IS NULL AND counts IS NOT NULL AND mode = 'full'
              ORDER BY run_id DESC
              LIMIT %(keep)s) AS kept), 0))
  AND r.run_id NOT IN (
      SELECT run_id FROM carsync.runs
      WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
        AND replay_of IS NULL AND reverts IS NULL
      ORDER BY run_id DESC
      LIMIT least(%(keep)s, 1))
