-- How many cars a run changed, by what was done to them.
SELECT action, count(*) FROM carsync.changes WHERE run_id = %(run_id)s GROUP BY action
