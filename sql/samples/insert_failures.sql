INSERT INTO carsync.failures
SELECT %(run_id)s, %(session)s, %(position)s + (given.ordinality - 1)::integer, f.*
FROM jsonb_array_elements(%(failures)s::jsonb) WITH ORDINALITY AS given,
     jsonb_to_record(given.value) AS f (
        at timestamptz, page integer, attempt integer, kind text, status integer, problem text,
        latency_s double precision, given_up boolean)
