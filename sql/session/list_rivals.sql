-- Sessions that hold a lock under which the table cannot be written, or hold rows of it, and,
-- where these matter, those that read it; those of the oldest transaction first.
SELECT a.pid, coalesce(nullif(a.application_name, ''), a.usename, 'a session'), a.state,
       coalesce(a.query_start, a.xact_start)
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.relation = pg_catalog.to_regclass({target})
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND l.granted AND (l.mode <> 'AccessShareLock' OR %(readers)s)
  AND l.pid <> pg_backend_pid()
GROUP BY a.pid, 2, a.state, 4, a.xact_start
ORDER BY a.xact_start
LIMIT 3
