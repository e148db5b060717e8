-- What is staged of each list: distinct ids, rejected ones included, records beyond the first of
-- an id, and rejected records without one.
WITH listed AS (
    SELECT s.page / %(each)s AS place, s.id::text AS id
    FROM {staging} AS s
    WHERE s.page >= 0
    UNION ALL
    SELECT r.page / %(each)s, r.record_id
    FROM carsync.rejects AS r
    JOIN {ledger} AS l ON l.page = r.page
    WHERE r.run_id = %(run_id)s AND r.page >= 0
), ids AS (
    SELECT place, id, count(*) AS times FROM listed GROUP BY place, id
)
SELECT place,
       count(id) AS seen,
       coalesce(sum(times - 1) FILTER (WHERE id IS NOT NULL), 0)::bigint AS duplicates,
       coalesce(sum(times) FILTER (WHERE id IS NULL), 0)::bigint AS without_id
FROM ids
GROUP BY place
