-- Deactivate absent cars and record it.
WITH written AS (
    UPDATE {target} AS t
    SET is_active = false, updated_at = now()
    FROM (
        SELECT d.id, t.xmin, {was}
        FROM {target} AS t
        JOIN {delta} AS d ON d.id OPERATOR(pg_catalog.=) t.{key}
        WHERE {is_going} AND {is_chosen}
        FOR NO KEY UPDATE OF t
    ) AS was("carsync id", "carsync version", {was_names})
    WHERE t.{key} OPERATOR(pg_catalog.=) was."carsync id"
    RETURNING was."carsync id" AS id,
        CASE WHEN t.is_active THEN 'updated' ELSE 'deactivated' END AS action,
        was."carsync version" AS overwrote, {before} AS before, {after} AS after
), recorded AS ({record}), settled AS (
    UPDATE {delta} AS d SET action = 'gone' FROM written WHERE d.id OPERATOR(pg_catalog.=) written.id
)
SELECT count(*) FROM written
