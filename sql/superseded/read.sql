-- What the run read: its staged records and its rejects, each with the latest run on record then.
SELECT s.id::text AS id, l.latest_run
FROM {seen} AS s
JOIN {ledger} AS l ON l.page = s.page
UNION ALL
SELECT r.record_id, l.latest_run
FROM carsync.rejects AS r
JOIN {ledger} AS l ON l.page = r.page
WHERE r.run_id = %(run_id)s AND r.record_id IS NOT NULL
