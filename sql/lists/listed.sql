-- What the run read of each list: staged records and rejected ones, with or without an id.
SELECT s.page / %(each)s AS place, s.id::text AS id, l.latest_run
FROM {seen} AS s
JOIN {ledger} AS l ON l.page = s.page
WHERE s.page >= 0
UNION ALL
SELECT r.page / %(each)s, r.record_id, l.latest_run
FROM carsync.rejects AS r
JOIN {ledger} AS l ON l.page = r.page
WHERE r.run_id = %(run_id)s AND r.page >= 0
