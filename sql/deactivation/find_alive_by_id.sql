-- Did the API say by id of any car, in a recent run, that it is there?
SELECT EXISTS (
    SELECT FROM carsync.runs
    WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
      AND started_at > now() - '90 days'::interval
      AND (summary -> 'snapshot' -> 'probes' ->> 'alive')::bigint > 0)
