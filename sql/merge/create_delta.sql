-- What is different between the staged rows and the table, from one hash join over narrow
-- columns: one row for each car that is to be written, and for each active car of this
-- source that was not seen, where the run read the feed. Unchanged cars go no further than
-- this filter, so that they are neither locked nor logged. A car that somebody wrote after
-- its page was asked for is stale here; a car written after the oldest page was asked for
-- cannot be absent. A time in the future is some other clock's and says nothing; where the
-- run read the feed, no page was asked for before the last merge ({last_merge}, else NULL),
-- though a clock that was set back may say so.
CREATE UNLOGGED TABLE {delta} WITH (autovacuum_enabled = false) AS
SELECT coalesce(s.id, t.id) AS id,
       s.fetched_at,
       s.data_hash,
       CASE
           WHEN t.id IS NULL THEN 'insert'
           WHEN s.id IS NULL THEN 'absent'
           WHEN t.source_api <> {source} THEN 'foreign'
           WHEN t.touched_at > s.fetched_at AND t.touched_at <= now() THEN 'stale'
           WHEN t.is_active IS NOT TRUE THEN 'reactivate'
           ELSE 'update'
       END AS action
FROM (
    SELECT staged.id, staged.data_hash, greatest(l.fetched_at, {last_merge}) AS fetched_at
    FROM {staging} AS staged
    JOIN {ledger} AS l ON l.page = staged.page
) AS s
FULL JOIN (
    SELECT id::text AS id, data_hash, is_active, source_api,
           greatest(created_at, updated_at, last_synced_at) AS touched_at
    FROM {target}
) AS t ON t.id = s.id
WHERE CASE
    WHEN t.id IS NULL THEN true
    WHEN s.id IS NULL THEN {reads_feed} AND t.source_api = {source} AND t.is_active
        AND (t.touched_at IS NULL OR t.touched_at <= {oldest_fetch} OR t.touched_at > now())
    ELSE t.data_hash IS DISTINCT FROM s.data_hash
        OR t.is_active IS NOT TRUE
        OR t.source_api IS DISTINCT FROM {source}
END
