-- Who may write to the target although nobody named the table for them: PUBLIC, and roles that
-- default privileges grant to. Owners, superusers and roles that no policy binds (Supabase's
-- service_role) are trusted; a table with row-level security has its policies.
SELECT DISTINCT coalesce(r.rolname, 'public')::text AS grantee
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(c.relacl) AS a
LEFT JOIN pg_roles AS r ON r.oid = a.grantee
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND NOT c.relrowsecurity
  AND a.privilege_type NOT IN ('SELECT', 'MAINTAIN')
  AND a.grantee <> c.relowner
  AND NOT coalesce(r.rolsuper OR r.rolbypassrls, false)
  AND (a.grantee = 0 OR EXISTS (
      SELECT FROM pg_default_acl AS d CROSS JOIN LATERAL aclexplode(d.defaclacl) AS granted
      WHERE d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, n.oid)
        AND granted.grantee = a.grantee AND granted.privilege_type = a.privilege_type))
ORDER BY grantee
