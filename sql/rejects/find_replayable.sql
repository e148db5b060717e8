-- Merged runs that read the feed and have open rejects.
SELECT r.run_id
FROM carsync.runs AS r
WHERE r.schema_name = %(schema)s AND r.table_name = %(table)s AND r.source = %(source)s
  AND r.run_id >= %(since)s AND r.replay_of IS NULL AND r.reverts IS NULL AND r.counts IS NOT NULL
  AND EXISTS (SELECT FROM carsync.rejects AS j WHERE j.run_id = r.run_id AND j.settled_by IS NULL)
ORDER BY r.run_id DESC
