-- By kind, since the day and since the budget's window began. There is no upper bound: where the
-- server's clock was set back, what it counted ahead of its time stays counted.
SELECT kind,
       sum(requests) FILTER (WHERE hour >= %(day_at)s)::bigint,
       sum(requests) FILTER (WHERE hour >= %(window_at)s)::bigint
FROM carsync.requests
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND hour >= LEAST(%(day_at)s, %(window_at)s)
GROUP BY kind
ORDER BY kind
