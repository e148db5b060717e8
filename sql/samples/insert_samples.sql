INSERT INTO carsync.samples
SELECT %(run_id)s, %(session)s, %(position)s + (given.ordinality - 1)::integer, s.*
FROM jsonb_array_elements(%(samples)s::jsonb) WITH ORDINALITY AS given,
     jsonb_to_record(given.value) AS s (
        at timestamptz, elapsed_s double precision, phase text, pages_planned integer,
        pages_staged integer, pages_failed integer, rows_staged bigint, rejects bigint,
        pages_per_s double precision, rows_per_s double precision,
        latency_p50_s double precision, latency_p95_s double precision,
        latency_p99_s double precision, queue_depth integer, rss_bytes bigint,
        rss_by_kind jsonb, wire_bytes bigint, attempts bigint, retries bigint, errors jsonb,
        breaker_openings integer)
