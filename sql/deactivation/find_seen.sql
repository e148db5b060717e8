-- Which of the cars the unfinished run has read from these pages, rejected records included.
SELECT s.id::text
FROM {seen} AS s
WHERE s.id::text IN (SELECT unnest(%(ids)s::text[])) AND s.page BETWEEN %(first)s AND %(last)s
UNION
SELECT r.record_id
FROM carsync.rejects AS r
WHERE r.run_id = %(run_id)s AND r.record_id IN (SELECT unnest(%(ids)s::text[]))
  AND r.page BETWEEN %(first)s AND %(last)s
