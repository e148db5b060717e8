-- Runs that still have any of the staging tables, and what they belong to (no such run
-- any more: NULL).
SELECT DISTINCT left_over.run_id, r.schema_name, r.table_name, r.source
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'carsync'
CROSS JOIN LATERAL (
    SELECT substring(c.relname FROM '^(?:staging|seen|ledger|tombstones|tombstone_pages)_([0-9]{{1,18}})$')::bigint AS run_id
) AS left_over
LEFT JOIN carsync.runs AS r ON r.run_id = left_over.run_id
WHERE c.relkind = 'r' AND left_over.run_id IS NOT NULL
