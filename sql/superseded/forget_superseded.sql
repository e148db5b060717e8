DELETE FROM carsync.superseded WHERE run_id = %(run_id)s
