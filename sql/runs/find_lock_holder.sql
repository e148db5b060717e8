-- The session that holds the lock of `lock_target`; a bigint key is split over two columns.
SELECT a.pid, a.application_name, coalesce(a.client_addr::text, 'local'), a.backend_start
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32) | l.objid::bigint
      = hashtextextended('carsync:' || %(target)s, 0)
