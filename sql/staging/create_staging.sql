-- A run's staging table and ledger. UNLOGGED both, so that a crash empties both or
-- neither. No index: the merge reads staging whole. No autovacuum: its lock would make
-- the merge wait.
CREATE UNLOGGED TABLE {staging} (page integer NOT NULL, ordinal integer NOT NULL, {columns})
    WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false);
CREATE UNLOGGED TABLE {ledger} (
    page integer PRIMARY KEY,
    rows integer NOT NULL,
    rejects integer NOT NULL,
    records integer NOT NULL,
    reported_pages integer,
    reported_records bigint,
    next_token text,
    has_more boolean,
    fetched_at timestamptz NOT NULL,
    latest_run bigint NOT NULL DEFAULT 0,
    notes jsonb
) WITH (autovacuum_enabled = false);
COMMENT ON TABLE {staging} IS {purpose};
COMMENT ON TABLE {ledger} IS {purpose};
REVOKE ALL ON {staging}, {ledger} FROM PUBLIC
