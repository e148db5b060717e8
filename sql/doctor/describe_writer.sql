-- Which database this is, how many connections it has left, and whether the role may write into staging tables, which the role of
-- the run's parent makes: as a member of that role, or by default privileges on the schema. Where the schema is not made
-- yet, nobody is kept from it.
SELECT current_user::text,
       d.oid::bigint AS database,
       extract(epoch FROM pg_postmaster_start_time())::double precision AS started_s,
       coalesce(has_schema_privilege(own.oid, 'USAGE'), true)
           AND (%(role)s = '' OR NOT EXISTS (
                    SELECT FROM pg_roles AS r
                    WHERE r.rolname = %(role)s AND NOT pg_has_role(r.oid, 'USAGE'))
                OR EXISTS (
                    SELECT FROM pg_default_acl AS a
                    CROSS JOIN aclexplode(a.defaclacl) AS granted
                    WHERE a.defaclnamespace IN (0, own.oid)
                      AND a.defaclobjtype = 'r'
                      AND granted.privilege_type = 'INSERT'
                      AND CASE granted.grantee WHEN 0 THEN true
                          ELSE pg_has_role(granted.grantee, 'USAGE') END)) AS may_stage,
       current_setting('max_connections')::integer
           - (SELECT count(*) FROM pg_stat_activity AS a
              WHERE a.backend_type = 'client backend')::integer AS free
FROM pg_database AS d
LEFT JOIN pg_namespace AS own ON own.nspname = 'carsync'
WHERE d.datname = current_database()
