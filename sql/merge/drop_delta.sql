DROP TABLE {delta}
