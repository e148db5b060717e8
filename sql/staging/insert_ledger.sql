-- Claim pages: a page that is in the ledger already stays as it is, and only those
-- returned here may be staged. None is where another process has taken the run over. A
-- page's age was worked out after the transaction began: now() less it is never too late.
-- Rejects of an earlier fetch of the page, whose staging was lost in a crash, go with it.
WITH fresh AS (
    INSERT INTO {ledger}
        (page, rows, rejects, records, reported_pages, reported_records, next_token, has_more,
         fetched_at, notes, latest_run)
    SELECT page, rows, rejects, records, reported_pages, reported_records, next_token, has_more,
           now() - make_interval(secs => age_s), notes,
           {latest_run}
    FROM (VALUES %s) AS claimed
        (page, rows, rejects, records, reported_pages, reported_records, next_token, has_more, age_s,
         notes)
    WHERE EXISTS (
        SELECT FROM carsync.runs
        WHERE run_id = {run_id} AND token = {token} AND state = 'running')
    ON CONFLICT (page) DO NOTHING
    RETURNING page
), outdated AS (
    DELETE FROM carsync.rejects
    WHERE run_id = {run_id} AND page IN (SELECT page FROM fresh)
)
SELECT page FROM fresh
