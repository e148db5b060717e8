-- No row: none of this name is left in this database.
SELECT pid, pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND application_name = %(application_name)s
  AND pid <> pg_backend_pid()
