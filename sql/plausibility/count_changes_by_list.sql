-- What `count_changes` counts of known cars, list by list.
WITH joined AS MATERIALIZED (
    SELECT s.id, s.ctid AS staged_at, s.page / %(each)s AS place,
           t.data_hash IS DISTINCT FROM s.data_hash AS is_updated
    FROM {staging} AS s
    JOIN {target} AS t ON t.{key} = s.id
    WHERE t.source_api = {source} AND s.page >= 0
), updated AS MATERIALIZED (
    SELECT place, id, staged_at FROM joined WHERE is_updated
    LIMIT (SELECT count(*) FROM joined)
), known AS (
    SELECT place, count(DISTINCT id) AS known FROM joined GROUP BY place
), counted AS (
    SELECT u.place, count(*) FILTER (WHERE {is_changed}) AS changed, {counts}
    FROM updated AS u
    JOIN {staging} AS s ON s.ctid = u.staged_at
    JOIN {target} AS t ON t.{key} = u.id
    GROUP BY u.place
)
SELECT known.known, counted.*
FROM counted
JOIN known USING (place)
WHERE known.known >= %(least)s
