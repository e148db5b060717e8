SELECT {columns}
FROM carsync.samples
WHERE run_id = %(run_id)s
ORDER BY session, position
