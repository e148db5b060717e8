-- Where a run's changes were recorded; NULL where they were not.
SELECT changes_origin FROM carsync.runs WHERE run_id = %(run_id)s
