-- Reading stays as it was granted: a site reads the table.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON {target} FROM {role}
