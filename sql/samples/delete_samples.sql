DELETE FROM carsync.samples WHERE run_id = %(run_id)s AND session = %(session)s
