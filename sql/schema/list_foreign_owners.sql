-- What of carsync's own schema belongs to a role that could make this session run functions as
-- the role of this session. Trusted are the role itself and superusers; for a role that is no
-- superuser also the roles that it is a member of, and the owners of the database and of the
-- target, whose triggers it runs anyhow. (A superuser is a member of every role by definition.)
-- Names are qualified where another schema of the search path could offer a closer match.
WITH own AS (SELECT oid, nspowner FROM pg_catalog.pg_namespace WHERE nspname = 'carsync'),
found (place, what, owner) AS (
    SELECT 1, 'schema carsync', nspowner FROM own
    UNION ALL
    SELECT 2, pg_catalog.concat('carsync.', c.relname), c.relowner
    FROM own JOIN pg_catalog.pg_class AS c ON c.relnamespace = own.oid
    UNION ALL
    SELECT 3, pg_catalog.concat('function carsync.', p.proname), p.proowner
    FROM own JOIN pg_catalog.pg_proc AS p ON p.pronamespace = own.oid
    UNION ALL
    SELECT 4, pg_catalog.concat('the function of trigger ', t.tgname, ' on carsync.', c.relname),
           p.proowner
    FROM own JOIN pg_catalog.pg_class AS c ON c.relnamespace = own.oid
    JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = c.oid AND NOT t.tgisinternal
    JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
)
SELECT f.what, coalesce(r.rolname, f.owner::text), me.rolname, me.rolsuper
FROM found AS f
JOIN pg_catalog.pg_roles AS me ON me.rolname = current_user
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = f.owner
WHERE f.owner <> me.oid AND NOT coalesce(r.rolsuper, false)
  AND (me.rolsuper OR NOT coalesce(
      pg_catalog.pg_has_role(r.oid, 'MEMBER')  -- before 15 a role may make others its members
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m
                          WHERE m.roleid = r.oid AND m.grantor = r.oid)
      OR r.oid = (SELECT datdba FROM pg_catalog.pg_database WHERE datname = current_database())
      OR r.oid = (SELECT c.relowner FROM pg_catalog.pg_class AS c
                  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                  WHERE n.nspname = %(schema)s AND c.relname = %(table)s), false))
ORDER BY f.place, f.what
LIMIT 3
