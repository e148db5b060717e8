INSERT INTO carsync.hash_schemes AS known (schema_name, table_name, source, scheme)
VALUES (%(schema)s, %(table)s, %(source)s, %(hash_scheme)s)
ON CONFLICT (schema_name, table_name, source) DO UPDATE
SET scheme = excluded.scheme, recorded_at = excluded.recorded_at
WHERE known.scheme <> excluded.scheme
