-- Kept failed attempts of a run: all, and the pages they are of.
SELECT count(*), count(DISTINCT page), count(DISTINCT page) FILTER (WHERE given_up)
FROM carsync.failures WHERE run_id = %(run_id)s
