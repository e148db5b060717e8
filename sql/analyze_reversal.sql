ANALYZE {reversal}
