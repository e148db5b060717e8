-- The first answer of a run tells it once, whichever session it came in.
UPDATE carsync.runs
SET api_clock_at = clock_timestamp() - make_interval(secs => %(age_s)s),
    api_clock = coalesce(to_timestamp(%(date_s)s),
                         clock_timestamp() - make_interval(secs => %(age_s)s))
WHERE run_id = %(run_id)s AND token = %(token)s AND api_clock IS NULL
