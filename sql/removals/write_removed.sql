-- Deactivate the cars of tombstones, write what these tell, and record it. A value that is missing
-- leaves its column as it is. The conditions stand here again because another session may have
-- written the row since.
WITH written AS (
    UPDATE {target} AS t
    SET ({columns}) = ROW({values}), updated_at = now()
    FROM (
        SELECT d.id, d.action, t.xmin, {was}
        FROM {target} AS t
        JOIN {delta} AS d ON d.id OPERATOR(pg_catalog.=) t.{key}
        JOIN {removed} AS n ON n.id OPERATOR(pg_catalog.=) d.id
        WHERE d.action IN ('removed', 'told') AND {is_chosen}
          AND t.source_api::text = {source} AND (t.is_active IS TRUE) = (d.action = 'removed')
          AND {touched_at} IS NOT DISTINCT FROM n.touched_at
        FOR NO KEY UPDATE OF t
    ) AS was("carsync id", "carsync action", "carsync version", {was_names})
    JOIN {removed} AS n ON n.id OPERATOR(pg_catalog.=) was."carsync id"
    WHERE t.{key} OPERATOR(pg_catalog.=) was."carsync id"
    RETURNING was."carsync id" AS id,
        CASE WHEN was."carsync action" = 'told' OR t.is_active THEN 'updated' ELSE 'deactivated' END
            AS action,
        was."carsync version" AS overwrote, {before} AS before, {after} AS after
), recorded AS ({record}), settled AS (
    UPDATE {delta} AS d SET action = 'gone'
    FROM written
    WHERE d.id OPERATOR(pg_catalog.=) written.id AND written.action = 'deactivated'
)
SELECT count(*) FILTER (WHERE action = 'deactivated'), count(*) FILTER (WHERE action = 'updated')
FROM written
