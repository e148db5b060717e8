-- The privileges that the role lacks on carsync's own tables, those of single runs aside.
SELECT c.relname::text, array_agg(p.privilege ORDER BY p.place)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN (VALUES (1, 'SELECT'), (2, 'INSERT'), (3, 'UPDATE'), (4, 'DELETE'))
    AS p(place, privilege)
WHERE n.nspname = 'carsync' AND c.relkind = 'r' AND c.relname !~ '_[0-9]+$'
  AND CASE p.privilege
          WHEN 'SELECT' THEN true
          WHEN 'INSERT' THEN c.relname <> 'migrations'
          WHEN 'UPDATE' THEN c.relname IN ('runs', 'rejects', 'absences', 'hash_schemes')
          ELSE c.relname IN ('rejects', 'absences')
      END
  AND NOT has_table_privilege(c.oid, p.privilege)
GROUP BY c.relname
ORDER BY c.relname
