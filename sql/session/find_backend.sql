-- What a session of this role does; its pid alone may be another's by now.
SELECT state FROM pg_catalog.pg_stat_activity
WHERE pid = %(pid)s AND backend_start = %(started_at)s
