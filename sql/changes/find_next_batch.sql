-- The first batch of the table behind a position.
SELECT b.position, b.token::text, b.run_id, b.source, b.first_line, b.last_line, b.committed_at,
       r.changes_origin, b.schema_name, b.table_name
FROM carsync.change_batches AS b
LEFT JOIN carsync.runs AS r USING (run_id)
WHERE b.position > %(position)s AND b.schema_name = %(schema)s AND b.table_name = %(table)s
ORDER BY b.position
LIMIT 1
