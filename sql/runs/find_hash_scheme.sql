SELECT scheme FROM carsync.hash_schemes
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
