SELECT session, at, elapsed_s, phase, pages_planned, pages_staged, pages_failed, rows_staged,
       rejects, pages_per_s, rows_per_s, latency_p50_s, latency_p95_s, latency_p99_s,
       queue_depth, rss_bytes, rss_by_kind, wire_bytes, attempts, retries, errors,
       breaker_openings
FROM carsync.samples
WHERE run_id = %(run_id)s
ORDER BY session, position
