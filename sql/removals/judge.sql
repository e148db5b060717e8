-- What becomes of the cars of tombstones, by the newest of each. `removed`: the car is active, and
-- nothing speaks against it. `told`: it is inactive, and its columns are not as the tombstone says.
-- A tombstone of another lot of the car says nothing. A car that this run read, rejected records
-- included, stays; so does one that a later run has read while this one was interrupted, and one
-- that was listed after the tombstone: an earlier run wrote its row and began after it, or somebody
-- else wrote the row after it, or the last run of the whole feed began after it and did not miss the
-- car. A tombstone from before the window says nothing: what was listed since then was not asked
-- for, either. The API's clock is known to the second.
SELECT newest.*, {touched_at} AS touched_at,
       CASE WHEN t.is_active THEN 'removed' ELSE 'told' END AS verdict
FROM ({newest}) AS newest
JOIN {target} AS t ON t.{key} = newest.id
LEFT JOIN (
    SELECT merged_at, max(coalesce(api_clock, merged_at + {offset} + '1 s'::interval)) AS began_at
    FROM carsync.runs
    WHERE schema_name = {schema_name} AND table_name = {table_name} AND source = {source}
      AND merged_at IS NOT NULL
    GROUP BY merged_at
) AS written ON written.merged_at = {touched_at}
WHERE t.source_api::text = {source} AND true = ALL (ARRAY[{is_equal}]::boolean[])
  AND NOT EXISTS (SELECT FROM {seen} AS s WHERE s.id = t.{key})
  AND NOT EXISTS (
      SELECT FROM carsync.rejects AS j
      WHERE j.run_id = {run_id} AND j.record_id = newest.id::text AND j.page < {removals_from})
  AND NOT EXISTS (
      SELECT FROM carsync.superseded AS newer
      WHERE newer.run_id = {run_id} AND newer.id = newest.id::text)
  AND CASE WHEN t.is_active THEN
      coalesce(newest.removed_at >= {window_from}, true)
      AND coalesce(newest.removed_at >= coalesce(
              written.began_at,
              CASE WHEN {touched_at} <= now() THEN {touched_at} + {offset} + '1 s'::interval END), true)
      AND (coalesce(newest.removed_at >= {whole_at}, true)
           OR EXISTS (
               SELECT FROM carsync.absences AS a
               WHERE a.schema_name = {schema_name} AND a.table_name = {table_name}
                 AND a.source = {source} AND a.id = newest.id::text AND a.seen_by_run IS NULL))
  ELSE true = ANY (ARRAY[{is_news}]::boolean[]) END
