SELECT coalesce(lists, '{{}}') FROM carsync.runs WHERE run_id = %(run_id)s
