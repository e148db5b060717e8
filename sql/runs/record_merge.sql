UPDATE carsync.runs
SET state = %(state)s, counts = %(counts)s, merged_at = now(), changes_origin = %(origin)s
WHERE run_id = %(run_id)s
