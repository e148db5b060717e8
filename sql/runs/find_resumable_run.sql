-- The newest run of this target and source that reads the feed in this mode, if it was not
-- merged and is young enough.
SELECT {columns}
FROM carsync.runs AS r
WHERE r.run_id = (
        SELECT max(run_id) FROM carsync.runs
        WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
          AND replay_of IS NULL AND reverts IS NULL AND scope = 'whole'
          AND mode = %(mode)s)
  AND r.counts IS NULL
  AND r.state IN ('running', 'interrupted', 'failed')
  AND r.started_at > clock_timestamp() - make_interval(secs => %(max_age_s)s)
