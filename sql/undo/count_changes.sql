SELECT count(*) FROM carsync.changes WHERE run_id = %(run_id)s
