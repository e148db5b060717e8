-- What a committed merge wrote of its run stands, also where its outcome was not learned. No
-- row: another process has the run, or the merge (`is_merged`) that was committed is lost.
UPDATE carsync.runs
SET state = CASE
        WHEN counts IS NOT NULL AND %(state)s IN ('failed', 'interrupted') THEN state
        ELSE %(state)s
    END,
    exit_code = %(exit_code)s, summary = coalesce(summary, '{{}}') || %(summary)s,
    finished_at = clock_timestamp()
WHERE run_id = %(run_id)s AND token = %(token)s AND (counts IS NOT NULL OR NOT %(is_merged)s)
