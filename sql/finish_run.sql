UPDATE carsync.runs
SET state = %(state)s, exit_code = %(exit_code)s, summary = coalesce(summary, '{{}}') || %(summary)s,
    finished_at = clock_timestamp()
WHERE run_id = %(run_id)s AND token = %(token)s
