-- Give the transaction its place in the feed of changes.
INSERT INTO carsync.change_batches
    (run_id, schema_name, table_name, source, first_line, last_line)
VALUES (%(run_id)s, %(schema)s, %(table)s, %(source)s, %(first_line)s, %(last_line)s)
RETURNING position, token::text
