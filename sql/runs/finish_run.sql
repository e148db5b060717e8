-- What a committed merge wrote of its run stands, also where its outcome was not learned.
UPDATE carsync.runs
SET state = CASE
        WHEN counts IS NOT NULL AND %(state)s IN ('failed', 'interrupted') THEN state
        ELSE %(state)s
    END,
    exit_code = %(exit_code)s, summary = coalesce(summary, '{{}}') || %(summary)s,
    finished_at = clock_timestamp()
WHERE run_id = %(run_id)s AND token = %(token)s
