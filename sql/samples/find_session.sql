-- The number of the next session of a run, and how many failed attempts are kept of it.
SELECT coalesce((SELECT max(session) FROM carsync.samples WHERE run_id = %(run_id)s), 0) + 1,
       (SELECT count(*) FROM carsync.failures WHERE run_id = %(run_id)s)
