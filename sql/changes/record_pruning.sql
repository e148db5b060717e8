-- None of the run's changes are left.
UPDATE carsync.runs SET changes_origin = 'pruned' WHERE run_id = %(run_id)s
