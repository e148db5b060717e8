-- Cars that the run should have seen and that it neither staged nor rejected, and that no tombstone
-- proves to be gone.
SELECT t.{key}::text AS id
FROM {target} AS t
WHERE {is_expected}
  AND NOT EXISTS (SELECT FROM {seen} AS s WHERE s.id = t.{key})
  AND NOT EXISTS (
      SELECT FROM carsync.rejects AS r
      WHERE r.run_id = {run_id} AND r.record_id = t.{key}::text AND r.page < {removals_from})
  AND NOT EXISTS (SELECT FROM ({removed}) AS removed WHERE removed.id = t.{key})
