-- Insert anew, whole, the cars that the run, itself a revert, deleted.
WITH written AS (
    INSERT INTO {target} AS t ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {values}
    FROM {reversal} AS v
    WHERE v.action = 'deleted'
      AND v.refused IS NULL AND v.place >= %(first)s AND v.place < %(end)s
    RETURNING t.id::text AS id
), recorded AS (
    INSERT INTO carsync.changes (run_id, id, action)
    SELECT {run_id}, id, 'inserted' FROM written WHERE {records}
)
UPDATE {reversal} AS v SET done = true FROM written WHERE v.id = written.id
