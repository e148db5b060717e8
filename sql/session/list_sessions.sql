-- The sessions of carsync in this database, the eldest first: what each does or waits for,
-- for how long, which others it waits for, and whether it holds the lock of `lock_target`.
SELECT a.pid, a.application_name, coalesce(a.state, 'unknown'),
       CASE WHEN a.wait_event_type = 'Client' THEN '' -- for carsync itself
            ELSE concat_ws(': ', a.wait_event_type, a.wait_event) END,
       coalesce(extract(epoch FROM clock_timestamp() - CASE
           WHEN a.state = 'active' THEN a.query_start ELSE a.state_change
       END), 0)::float8,
       pg_blocking_pids(a.pid),
       EXISTS (
           SELECT FROM pg_catalog.pg_locks AS l
           WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
             AND l.database = a.datid
             AND (l.classid::bigint << 32) | l.objid::bigint
                 = hashtextextended('carsync:' || %(target)s, 0)
       )
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = current_database() AND a.application_name LIKE 'carsync%%'
  AND a.pid <> pg_backend_pid()
ORDER BY a.backend_start, a.pid
