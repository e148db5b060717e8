CREATE UNIQUE INDEX IF NOT EXISTS {places} ON {reversal} (place)
