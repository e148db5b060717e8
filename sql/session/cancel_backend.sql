SELECT pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(started_at)s
