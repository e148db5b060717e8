-- Records that no row can hold, with their reason and their own text, kept for replay.
CREATE TABLE carsync.rejects (
    run_id bigint NOT NULL REFERENCES carsync.runs ON DELETE CASCADE,
    page integer NOT NULL,
    ordinal integer NOT NULL,
    record_id text,
    column_name text,
    reason text NOT NULL,
    original text NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, page, ordinal)
);
REVOKE ALL ON carsync.rejects FROM PUBLIC
