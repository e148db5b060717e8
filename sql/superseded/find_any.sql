SELECT EXISTS (SELECT FROM carsync.superseded WHERE run_id = %(run_id)s)
