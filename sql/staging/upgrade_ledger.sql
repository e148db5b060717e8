-- A ledger that an earlier version made lacks the columns that came later.
ALTER TABLE {ledger} ADD COLUMN IF NOT EXISTS next_token text,
    ADD COLUMN IF NOT EXISTS has_more boolean,
    ADD COLUMN IF NOT EXISTS notes jsonb,
    ADD COLUMN IF NOT EXISTS latest_run bigint NOT NULL DEFAULT 0
