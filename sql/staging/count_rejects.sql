-- Rejects of the pages in the ledger (a page fetched before a crash and not again does
-- not count), those without an id, and distinct ids that were not staged as well.
SELECT count(*) AS rejects,
       count(*) FILTER (WHERE r.record_id IS NULL) AS without_id,
       count(DISTINCT r.record_id) FILTER (WHERE s.id IS NULL) AS unstaged_ids
FROM carsync.rejects AS r
JOIN {ledger} AS l ON l.page = r.page
LEFT JOIN (SELECT DISTINCT id::text AS id FROM {seen}) AS s ON s.id = r.record_id
WHERE r.run_id = %(run_id)s
