-- Where changes are recorded, and whether this role may ask which server it is.
SELECT d.oid::text || '/' || 'carsync.changes'::regclass::oid::text,
       has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
FROM pg_catalog.pg_database AS d
WHERE d.datname = current_database()
