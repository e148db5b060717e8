DROP TABLE IF EXISTS {staging}, {seen}, {ledger}
