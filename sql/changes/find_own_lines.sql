-- The lines that this transaction wrote for the run, in subtransactions too, which come after it.
SELECT min(line), max(line) FROM carsync.changes WHERE run_id = %(run_id)s AND age(xmin) <= 0
