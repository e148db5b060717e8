DROP TABLE {reversal}
