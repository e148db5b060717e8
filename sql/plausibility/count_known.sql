-- How many rows and cars are staged, how many of the source are active, and how many of the staged ones the
-- table knows, and has active: from one hash join over narrow columns.
SELECT coalesce(sum(s.times), 0)::bigint AS rows,
       count(s.id) AS ids,
       count(*) FILTER (WHERE t.source_api = {source} AND t.is_active) AS active,
       count(s.id) FILTER (WHERE t.source_api = {source}) AS known,
       count(s.id) FILTER (WHERE t.source_api = {source} AND t.is_active) AS seen
FROM (SELECT staged.id, count(*) AS times FROM {seen} AS staged GROUP BY staged.id) AS s
FULL JOIN (SELECT t.{key} AS id, t.source_api, t.is_active FROM {target} AS t) AS t ON t.id = s.id
