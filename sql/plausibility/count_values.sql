-- In how many of the known cars a value would change at all, and column by column.
SELECT count(*) FILTER (WHERE {is_changed}), {counts}
FROM {staging} AS s
JOIN {target} AS t ON t.id = s.id
WHERE t.source_api = {source} AND t.data_hash IS DISTINCT FROM s.data_hash
