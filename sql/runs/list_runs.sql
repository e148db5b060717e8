SELECT {columns}
FROM carsync.runs
WHERE schema_name = %(schema)s AND table_name = %(table)s
ORDER BY run_id DESC
LIMIT %(limit)s
