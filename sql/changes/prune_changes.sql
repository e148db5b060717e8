-- Forget changes of an expired run, a bounded number at a time.
DELETE FROM carsync.changes
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM carsync.changes WHERE run_id = %(run_id)s LIMIT %(limit)s))
