-- What is staged of each list: distinct ids, rejected ones included, records beyond the first of
-- an id, and rejected records without one.
WITH ids AS (
    SELECT place, id, count(*) AS times FROM ({listed}) AS listed GROUP BY place, id
)
SELECT place,
       count(id) AS seen,
       coalesce(sum(times - 1) FILTER (WHERE id IS NOT NULL), 0)::bigint AS duplicates,
       coalesce(sum(times) FILTER (WHERE id IS NULL), 0)::bigint AS without_id
FROM ids
GROUP BY place
