SELECT DISTINCT page FROM carsync.rejects
WHERE run_id = %(run_id)s AND settled_by IS NULL AND page < %(removals_from)s
ORDER BY page
