UPDATE carsync.runs SET window_from = %(window_from)s
WHERE run_id = %(run_id)s AND token = %(token)s
