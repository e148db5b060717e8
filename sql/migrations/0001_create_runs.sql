-- One line per run. `token` is renewed whenever a process takes the run over: a
-- left-over older process finds it changed and stops. `counts` is written by the
-- merge, in its own transaction: not NULL means that the merge was committed.
CREATE TABLE carsync.runs (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token uuid NOT NULL DEFAULT gen_random_uuid(),
    schema_name text NOT NULL,
    table_name text NOT NULL,
    source text NOT NULL,
    state text NOT NULL DEFAULT 'running' CHECK (state IN
        ('running', 'interrupted', 'failed', 'partial', 'held', 'complete', 'abandoned')),
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    resumed_at timestamptz,
    merged_at timestamptz,
    finished_at timestamptz,
    exit_code integer,
    version text NOT NULL,
    fingerprints jsonb NOT NULL DEFAULT '{}',
    hash_scheme text NOT NULL,
    counts jsonb,
    summary jsonb
);
CREATE INDEX runs_by_target ON carsync.runs (schema_name, table_name, source, run_id DESC);
REVOKE ALL ON carsync.runs FROM PUBLIC
