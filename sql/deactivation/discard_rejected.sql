-- A rejected record was seen: its car is not absent.
DELETE FROM {delta} AS d
USING carsync.rejects AS r
WHERE r.run_id = %(run_id)s AND d.action = 'absent' AND r.record_id = d.id::text
  AND r.page < {removals_from}
