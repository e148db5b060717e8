-- Rows that the database itself refused became rejects.
UPDATE {ledger}
SET rows = rows - %(refused)s, rejects = rejects + %(refused)s
WHERE page = %(page)s
