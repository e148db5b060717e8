-- How far the API's clock is before the server's; since when tombstones count in a run of changes
-- alone, whose window moves on while it is read; and when the last run of the whole feed began.
SELECT coalesce(r.api_clock - r.api_clock_at, '0'),
       r.window_from + CASE WHEN %(moves)s THEN greatest(pages.last_at - r.api_clock_at, '0')
                            ELSE '0' END,
       (SELECT w.api_clock
        FROM carsync.runs AS w
        WHERE w.run_id < r.run_id AND w.read_all AND w.schema_name = r.schema_name
          AND w.table_name = r.table_name AND w.source = r.source
        ORDER BY w.run_id DESC
        LIMIT 1)
FROM carsync.runs AS r, (SELECT max(fetched_at) AS last_at FROM {ledger}) AS pages
WHERE r.run_id = %(run_id)s
