-- How a run went, for people who look back. `samples`: its figures at moments of each
-- session (a run that was resumed has several). Staged pages and rows and rejects are the
-- whole run's, of earlier sessions too; attempts, errors and latencies are the session's.
-- Rates and latencies are those of the last half minute or so before the moment.
CREATE TABLE carsync.samples (
    run_id bigint NOT NULL REFERENCES carsync.runs ON DELETE CASCADE,
    session integer NOT NULL,
    position integer NOT NULL,
    at timestamptz NOT NULL,
    elapsed_s double precision NOT NULL,
    phase text NOT NULL,
    pages_planned integer,
    pages_staged integer NOT NULL,
    pages_failed integer NOT NULL,
    rows_staged bigint NOT NULL,
    rejects bigint NOT NULL,
    pages_per_s double precision NOT NULL,
    rows_per_s double precision NOT NULL,
    latency_p50_s double precision,
    latency_p95_s double precision,
    latency_p99_s double precision,
    queue_depth integer NOT NULL,
    rss_bytes bigint NOT NULL,
    rss_by_kind jsonb NOT NULL,
    wire_bytes bigint NOT NULL,
    attempts bigint NOT NULL,
    retries bigint NOT NULL,
    errors jsonb NOT NULL,
    breaker_openings integer NOT NULL,
    PRIMARY KEY (run_id, session, position)
);
REVOKE ALL ON carsync.samples FROM PUBLIC;
-- Attempts at a page that failed, up to a number; the samples count them all.
CREATE TABLE carsync.failures (
    run_id bigint NOT NULL REFERENCES carsync.runs ON DELETE CASCADE,
    session integer NOT NULL,
    position integer NOT NULL,
    at timestamptz NOT NULL,
    page integer NOT NULL,
    attempt integer NOT NULL,
    kind text NOT NULL,
    status integer,
    problem text NOT NULL,
    latency_s double precision NOT NULL,
    given_up boolean NOT NULL,
    PRIMARY KEY (run_id, session, position)
);
REVOKE ALL ON carsync.failures FROM PUBLIC
