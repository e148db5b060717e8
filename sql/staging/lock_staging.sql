-- From here on no writer, left over or not, can stage a page of this run.
LOCK TABLE {staging}, {ledger} IN SHARE MODE
