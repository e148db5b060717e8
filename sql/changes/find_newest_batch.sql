-- Where the feed of the table ends: at its newest batch, or at the first row of all.
SELECT position, token::text
FROM carsync.change_batches
WHERE schema_name = %(schema)s AND table_name = %(table)s OR run_id IS NULL
ORDER BY position DESC
LIMIT 1
