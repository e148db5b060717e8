-- Write changed and returning cars, and record what was overwritten. The conditions stand
-- here again because another session may have written the row since the delta was taken.
-- The rows are locked first, so that what was read of them is what the UPDATE overwrites.
WITH written AS (
    UPDATE {target} AS t
    SET {assignments}
    FROM (
        SELECT d.id, d.action, t.xmin, {was}
        FROM {target} AS t
        JOIN {delta} AS d ON d.id = t.id
        WHERE d.action IN ('update', 'reactivate')
          AND (t.data_hash IS DISTINCT FROM d.data_hash
               OR t.is_active IS NOT TRUE
               OR t.source_api IS DISTINCT FROM {source})
          AND coalesce(t.source_api, {source}) = {source}
          AND coalesce(greatest(t.created_at, t.updated_at, t.last_synced_at) <= d.fetched_at
                       OR greatest(t.created_at, t.updated_at, t.last_synced_at) > now(), true)
        FOR NO KEY UPDATE OF t
    ) AS was("carsync id", "carsync action", "carsync version", {was_names})
    JOIN {staging} AS s ON s.id = was."carsync id"
    WHERE t.id = was."carsync id"
    RETURNING was."carsync id" AS id, was."carsync action" AS action,
        was."carsync version" AS overwrote, {before} AS before, {after} AS after
), recorded AS (
    INSERT INTO carsync.changes (run_id, overwrote, id, action, before, after)
    SELECT {run_id}, overwrote, id, CASE action WHEN 'update' THEN 'updated' ELSE 'reactivated' END,
           before, after
    FROM written
    WHERE {records}
)
SELECT count(*) FILTER (WHERE action = 'update') AS updated,
       count(*) FILTER (WHERE action = 'reactivate') AS reactivated
FROM written
