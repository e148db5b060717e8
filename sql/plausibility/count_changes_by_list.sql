-- What `count_changes` counts of known cars, list by list.
WITH known AS (
    SELECT s.page / %(each)s AS place, count(DISTINCT s.id) AS known
    FROM {seen} AS s
    JOIN {target} AS t ON t.{key} = s.id
    WHERE t.source_api = {source} AND s.page >= 0
    GROUP BY 1
), counted AS (
    SELECT s.page / %(each)s AS place, count(*) FILTER (WHERE {is_changed}) AS changed, {counts}
    FROM {staging} AS s
    JOIN {target} AS t ON t.{key} = s.id
    WHERE t.source_api = {source} AND t.data_hash IS DISTINCT FROM s.data_hash AND s.page >= 0
    GROUP BY 1
)
SELECT known.known, counted.*
FROM counted
JOIN known USING (place)
WHERE known.known >= %(least)s
