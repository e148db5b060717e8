-- In how many of the known cars that are to be updated a value would change at all, and column by
-- column. Of cars that are unchanged no values are staged.
SELECT count(*) FILTER (WHERE {is_changed}) AS changed, {counts}
FROM {staging} AS s
JOIN {target} AS t ON t.{key} = s.id
WHERE t.source_api = {source} AND t.data_hash IS DISTINCT FROM s.data_hash
