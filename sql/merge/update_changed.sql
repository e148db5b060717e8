-- Write changed and returning cars, and record what was overwritten. The conditions stand
-- here again because another session may have written the row since the delta was taken.
-- The rows are locked first, so that what was read of them is what the UPDATE overwrites.
WITH written AS (
    UPDATE {target} AS t
    SET ({columns}) = ROW({values}),
        source_api = {source}, is_active = true, updated_at = now(), last_synced_at = now()
    FROM (
        SELECT d.id, d.action, t.xmin, {was}
        FROM {target} AS t
        JOIN {delta} AS d ON d.id OPERATOR(pg_catalog.=) t.{key}
        WHERE d.action IN ('update', 'reactivate') AND {is_chosen}
          AND (t.data_hash::text IS DISTINCT FROM d.data_hash::text
               OR t.is_active IS NOT TRUE
               OR t.source_api::text IS DISTINCT FROM {source})
          AND coalesce(t.source_api::text, {source}) = {source}
          AND {is_untouched}
        FOR NO KEY UPDATE OF t
    ) AS was("carsync id", "carsync action", "carsync version", {was_names})
    JOIN {staging} AS s ON s.id OPERATOR(pg_catalog.=) was."carsync id"
    WHERE t.{key} OPERATOR(pg_catalog.=) was."carsync id"
    RETURNING was."carsync id" AS id,
        CASE WHEN was."carsync action" = 'reactivate' AND t.is_active
             THEN 'reactivated' ELSE 'updated' END AS action,
        was."carsync version" AS overwrote, {before} AS before, {after} AS after
), recorded AS ({record})
SELECT count(*) FILTER (WHERE action = 'updated') AS updated,
       count(*) FILTER (WHERE action = 'reactivated') AS reactivated
FROM written
