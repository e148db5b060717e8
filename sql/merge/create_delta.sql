-- What is different between the staged rows and the table, from one hash join over narrow
-- columns: one row for each car that is to be written, and for each car that the run should
-- have seen and did not stage. Unchanged cars go no further than this filter, so that they
-- are neither locked nor logged. A car that somebody wrote after its page was asked for is
-- stale here, and so is one whose row was as the record says when it was staged, and is not
-- any more. Where the run read the feed, no page was asked for before the last merge,
-- though a clock that was set back may say so.
CREATE UNLOGGED TABLE {delta} WITH (autovacuum_enabled = false) AS
SELECT coalesce(s.id, t.id) AS id,
       s.fetched_at,
       s.data_hash,
       CASE
           WHEN s.id IS NULL THEN 'absent'
           WHEN t.source_api <> {source} THEN 'foreign'
           WHEN s.was_unchanged THEN 'stale'
           WHEN t.id IS NULL THEN 'insert'
           WHEN NOT {is_untouched} THEN 'stale'
           WHEN t.is_active IS NOT TRUE THEN 'reactivate'
           ELSE 'update'
       END AS action
FROM (
    SELECT staged.id, staged.data_hash, greatest(l.fetched_at, {last_merge}) AS fetched_at,
           staged.tableoid = '{seen}'::regclass AS was_unchanged
    FROM {seen} AS staged
    JOIN {ledger} AS l ON l.page = staged.page
    WHERE {is_newest}
) AS s
FULL JOIN (
    SELECT t.{key} AS id, t.data_hash, t.is_active, t.source_api, {touched_at} AS touched_at
    FROM {target} AS t
) AS t ON t.id = s.id
WHERE CASE
    WHEN t.id IS NULL THEN true
    WHEN s.id IS NULL THEN {is_expected}
    ELSE t.data_hash IS DISTINCT FROM s.data_hash
        OR t.is_active IS NOT TRUE
        OR t.source_api IS DISTINCT FROM {source}
END
