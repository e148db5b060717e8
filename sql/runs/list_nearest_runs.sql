-- The target's runs whose numbers are nearest to a wrong one.
SELECT run_id
FROM carsync.runs
WHERE schema_name = %(schema)s AND table_name = %(table)s
ORDER BY abs(run_id - %(run_id)s), run_id
LIMIT 5
