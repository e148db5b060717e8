-- Known cars whose value of a column would change, those that would lose it first.
SELECT s.id::text, t.{column}::text, s.{column}::text
FROM {staging} AS s
JOIN {target} AS t ON t.{key} = s.id
WHERE t.source_api = {source} AND t.data_hash IS DISTINCT FROM s.data_hash AND {is_changed}
ORDER BY NOT ({was_set} AND NOT {is_set}), s.id
LIMIT %(limit)s
