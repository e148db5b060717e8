-- The clients connected to this database, other than the one that asks.
SELECT count(*)
FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database()
  AND backend_type = 'client backend'
  AND pid <> pg_catalog.pg_backend_pid()
