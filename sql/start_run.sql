INSERT INTO carsync.runs (schema_name, table_name, source, version, fingerprints, hash_scheme)
VALUES (%(schema)s, %(table)s, %(source)s, %(version)s, %(fingerprints)s, %(hash_scheme)s)
RETURNING {columns}
