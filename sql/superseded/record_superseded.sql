-- All cars that this run read or knows to be gone, for an unfinished run that has older pages.
INSERT INTO carsync.superseded AS known (run_id, id, latest_run)
SELECT {other}, told.id, max(told.latest_run)
FROM (
    {read}
    UNION ALL
    SELECT d.id::text, {latest_run} FROM {delta} AS d WHERE d.action = 'gone'
    UNION ALL
    SELECT gone.id, {latest_run} FROM unnest(%(gone)s::text[]) AS gone(id)
) AS told
WHERE told.latest_run > (SELECT min(older.latest_run) FROM {their_ledger} AS older)
GROUP BY told.id
ON CONFLICT (run_id, id) DO UPDATE
SET latest_run = greatest(known.latest_run, excluded.latest_run)
