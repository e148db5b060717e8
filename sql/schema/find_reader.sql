-- Whether a role may read the views of what happened to cars; no row where there is no such role.
SELECT has_schema_privilege(r.oid, 'carsync', 'USAGE')
       AND has_table_privilege(r.oid, 'carsync.car_history', 'SELECT')
       AND has_table_privilege(r.oid, 'carsync.price_history', 'SELECT')
FROM pg_roles AS r
WHERE r.rolname = %(role)s
