-- Cars that an unfinished run read before their tombstones: what it staged of them is older.
INSERT INTO carsync.superseded AS known (run_id, id, latest_run)
SELECT {other}, newest.id::text, max({latest_run})
FROM ({newest}) AS newest
JOIN {their_staging} AS s ON s.id = newest.id
JOIN {their_ledger} AS l ON l.page = s.page
WHERE newest.removed_at > l.fetched_at + {offset} AND true = ALL (ARRAY[{is_equal}]::boolean[])
GROUP BY newest.id
ON CONFLICT (run_id, id) DO UPDATE
SET latest_run = greatest(known.latest_run, excluded.latest_run)
