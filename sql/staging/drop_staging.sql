DROP TABLE IF EXISTS {staging}, {ledger}
