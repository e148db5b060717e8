-- The server, the role, and how many connections there are and may be, this one aside;
-- a limit below zero is none.
SELECT current_setting('server_version_num')::integer AS version,
       split_part(current_setting('server_version'), ' ', 1) AS version_text,
       r.rolname,
       r.rolsuper,
       pg_is_in_recovery() AS is_standby,
       pg_encoding_to_char(d.encoding) AS encoding,
       r.rolconnlimit,
       d.datconnlimit,
       current_setting('max_connections')::integer - CASE WHEN r.rolsuper THEN 0 ELSE
           current_setting('superuser_reserved_connections')::integer
           + coalesce(current_setting('reserved_connections', true)::integer, 0) END AS slots,
       (SELECT count(*) FROM pg_stat_activity AS a
        WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()) AS used,
       (SELECT count(*) FROM pg_stat_activity AS a
        WHERE a.usesysid = r.oid AND a.pid <> pg_backend_pid()) AS used_by_role,
       (SELECT count(*) FROM pg_stat_activity AS a
        WHERE a.datid = d.oid AND a.pid <> pg_backend_pid()) AS used_in_database,
       extract(epoch FROM clock_timestamp())::double precision AS epoch_s,
       (SELECT s.ssl FROM pg_stat_ssl AS s WHERE s.pid = pg_backend_pid()) AS encrypted,
       pg_backend_pid() AS pid
FROM pg_roles AS r, pg_database AS d
WHERE r.rolname = current_user AND d.datname = current_database()
