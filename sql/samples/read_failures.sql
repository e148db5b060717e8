-- The newest failed attempts, in the order in which they came.
SELECT session, at, page, attempt, kind, status, problem, latency_s, given_up
FROM (SELECT * FROM carsync.failures
      WHERE run_id = %(run_id)s
      ORDER BY session DESC, position DESC
      LIMIT %(limit)s) AS newest
ORDER BY session, position
