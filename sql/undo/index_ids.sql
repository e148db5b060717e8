CREATE INDEX IF NOT EXISTS {ids} ON {reversal} (id)
