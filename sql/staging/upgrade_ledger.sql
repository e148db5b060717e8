-- A ledger that an earlier version made has no tokens, and no notes of the columns.
ALTER TABLE {ledger} ADD COLUMN IF NOT EXISTS next_token text,
    ADD COLUMN IF NOT EXISTS notes jsonb
