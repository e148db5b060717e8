SELECT DISTINCT page FROM carsync.rejects
WHERE run_id = %(run_id)s AND settled_by IS NULL
ORDER BY page
