-- The values by which cars of the source are asked for.
SELECT t.{key}::text, ARRAY[{values}]
FROM {target} AS t
WHERE t.{key} IN (SELECT unnest(%(ids)s::text[])::{id_type}) AND t.source_api = %(source)s
