-- By page: how often it failed, by class, and its last attempt. Pages given up come first,
-- then those that failed most. Where the run has lists, a page's number is that within its list.
-- They are read by name, for a table of before the column was there.
WITH counted AS (
    SELECT page, kind, count(*) AS number FROM carsync.failures
    WHERE run_id = %(run_id)s GROUP BY page, kind
), by_page AS (
    SELECT page, sum(number)::bigint AS number, jsonb_object_agg(kind, number) AS kinds
    FROM counted GROUP BY page
), newest AS (
    SELECT DISTINCT ON (page) page, attempt, kind, status, problem, given_up, at
    FROM carsync.failures
    WHERE run_id = %(run_id)s
    ORDER BY page, session DESC, position DESC
)
SELECT CASE WHEN in_list.name IS NULL THEN page ELSE page %% %(each)s END,
       p.number, p.kinds, n.attempt, n.kind, n.status, n.problem, n.given_up, n.at, in_list.name
FROM by_page AS p
JOIN newest AS n USING (page)
LEFT JOIN carsync.runs AS r ON r.run_id = %(run_id)s
CROSS JOIN LATERAL (SELECT to_jsonb(r) #>> ARRAY['lists', (page / %(each)s)::text]) AS in_list(name)
ORDER BY n.given_up DESC, p.number DESC, page
LIMIT %(limit)s
