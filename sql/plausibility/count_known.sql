-- How many cars are staged, how many the table has, how many of the staged ones it knows and
-- would update.
SELECT (SELECT count(DISTINCT s.id) FROM {staging} AS s) AS ids,
       (SELECT count(*) FROM {target} AS t WHERE t.source_api = {source} AND t.is_active) AS active,
       count(DISTINCT s.id) AS known,
       count(DISTINCT s.id) FILTER (WHERE t.is_active) AS seen,
       count(DISTINCT s.id) FILTER (WHERE t.data_hash IS DISTINCT FROM s.data_hash) AS updated
FROM {staging} AS s
JOIN {target} AS t ON t.id = s.id
WHERE t.source_api = {source}
