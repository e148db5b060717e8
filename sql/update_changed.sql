-- Write changed and returning cars. The conditions stand here again because another
-- session may have written the row since the delta was taken.
WITH written AS (
    UPDATE {target} AS t
    SET {assignments}
    FROM {delta} AS d
    JOIN {staging} AS s ON s.id = d.id
    WHERE d.action IN ('update', 'reactivate')
      AND t.id = d.id
      AND (t.data_hash IS DISTINCT FROM s.data_hash
           OR t.is_active IS NOT TRUE
           OR t.source_api IS DISTINCT FROM {source})
      AND coalesce(t.source_api, {source}) = {source}
      AND coalesce(greatest(t.created_at, t.updated_at, t.last_synced_at) <= d.fetched_at
                   OR greatest(t.created_at, t.updated_at, t.last_synced_at) > now(), true)
    RETURNING d.action
)
SELECT count(*) FILTER (WHERE action = 'update') AS updated,
       count(*) FILTER (WHERE action = 'reactivate') AS reactivated
FROM written
