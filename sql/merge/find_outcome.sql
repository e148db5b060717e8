-- Waits, by the row lock, until a merge that may still be committing has ended.
SELECT counts FROM carsync.runs WHERE run_id = %(run_id)s FOR UPDATE
