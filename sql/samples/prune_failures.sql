DELETE FROM carsync.failures AS o
USING carsync.runs AS r
WHERE r.run_id = o.run_id
  AND r.schema_name = %(schema)s AND r.table_name = %(table)s AND r.source = %(source)s
  AND r.started_at < clock_timestamp() - make_interval(secs => %(keep_s)s)
