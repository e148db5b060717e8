-- Rejects of a run whose cars a later run has read: a replay would bring back what is older.
UPDATE carsync.rejects AS j
SET settled_by = %(run_id)s
FROM {ledger} AS l
WHERE j.run_id = %(run_id)s AND l.page = j.page AND j.settled_by IS NULL AND j.record_id IS NOT NULL
  AND NOT {is_newest}
