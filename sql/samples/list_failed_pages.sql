-- By page: how often it failed, by class, and its last attempt. Pages given up come first,
-- then those that failed most.
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
SELECT page, p.number, p.kinds, n.attempt, n.kind, n.status, n.problem, n.given_up, n.at
FROM by_page AS p JOIN newest AS n USING (page)
ORDER BY n.given_up DESC, p.number DESC, page
LIMIT %(limit)s
