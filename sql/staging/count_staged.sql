-- Staged rows and the distinct ids among them, in one pass.
SELECT coalesce(sum(times), 0)::bigint AS rows, count(*) AS ids
FROM (SELECT count(*) AS times FROM {seen} GROUP BY id) AS listed
