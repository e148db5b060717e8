-- A ledger that an earlier version made has no tokens.
ALTER TABLE {ledger} ADD COLUMN IF NOT EXISTS next_token text
