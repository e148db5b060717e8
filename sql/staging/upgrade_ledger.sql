-- A ledger that an earlier version made has no tokens, no word of further pages, and no notes.
ALTER TABLE {ledger} ADD COLUMN IF NOT EXISTS next_token text,
    ADD COLUMN IF NOT EXISTS has_more boolean,
    ADD COLUMN IF NOT EXISTS notes jsonb
