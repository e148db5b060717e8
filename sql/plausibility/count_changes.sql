-- How many cars are staged, how many of the source are active, how many of the staged ones the
-- table knows, has active, and would update; in how many a value would change at all, and
-- column by column. Both tables are joined once, over narrow columns; then the values of the
-- rows to be updated are looked up. LIMIT makes the planner expect few of these, so that it
-- hashes them and not the whole table with all its columns.
WITH joined AS MATERIALIZED (
    SELECT s.id, s.ctid AS staged_at, t.is_active,
           t.data_hash IS DISTINCT FROM s.data_hash AS is_updated
    FROM {staging} AS s
    JOIN {target} AS t ON t.{key} = s.id
    WHERE t.source_api = {source}
), updated AS MATERIALIZED (
    SELECT id, staged_at FROM joined WHERE is_updated
    LIMIT (SELECT count(*) FROM joined)
), known AS (
    SELECT count(DISTINCT id) AS known, count(DISTINCT id) FILTER (WHERE is_active) AS seen
    FROM joined
), counted AS (
    SELECT count(*) FILTER (WHERE {is_changed}) AS changed, {counts}
    FROM updated AS u
    JOIN {staging} AS s ON s.ctid = u.staged_at
    JOIN {target} AS t ON t.{key} = u.id
)
SELECT (SELECT count(DISTINCT s.id) FROM {staging} AS s) AS ids,
       (SELECT count(*) FROM {target} AS t WHERE t.source_api = {source} AND t.is_active) AS active,
       known.*, counted.*
FROM known, counted
