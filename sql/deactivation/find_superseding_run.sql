-- Seconds since the run's merge, and the newest run of its target and source merged after it that
-- says something of all cars: one of the whole feed, or a revert.
SELECT extract(epoch FROM clock_timestamp() - r.merged_at)::float8 AS age_s,
       later.run_id,
       later.state
FROM carsync.runs AS r
LEFT JOIN LATERAL (
    SELECT n.run_id, n.state
    FROM carsync.runs AS n
    WHERE n.schema_name = r.schema_name AND n.table_name = r.table_name AND n.source = r.source
      AND n.run_id > r.run_id AND n.counts IS NOT NULL AND n.replay_of IS NULL
      AND n.mode = 'full'
    ORDER BY n.run_id DESC
    LIMIT 1
) AS later ON true
WHERE r.run_id = %(run_id)s
