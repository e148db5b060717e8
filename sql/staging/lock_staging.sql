-- From here on no writer, left over or not, can stage a page of this run.
LOCK TABLE {seen}, {ledger} IN SHARE MODE
