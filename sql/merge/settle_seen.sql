-- A rejected record whose car is staged from another page, or from another of a replay's
-- records: nothing is left to do, and what it says may be older.
UPDATE carsync.rejects AS j
SET settled_by = %(run_id)s
FROM (SELECT DISTINCT id FROM {seen}) AS s
WHERE j.run_id = coalesce(%(replay_of)s::bigint, %(run_id)s)
  AND j.settled_by IS NULL AND s.id::text = j.record_id
