DELETE FROM carsync.requests
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND hour < now() - make_interval(secs => %(keep_s)s)
