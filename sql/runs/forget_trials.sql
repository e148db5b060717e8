-- Dry runs leave nothing behind; these were killed. Their rejects go with them.
DELETE FROM carsync.runs
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND scope = 'dry'
RETURNING run_id
