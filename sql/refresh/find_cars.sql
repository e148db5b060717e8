-- What the table holds of these cars.
SELECT t.{key}::text, t.source_api::text, t.is_active IS TRUE, t.data_hash::text
FROM {target} AS t
WHERE t.{key} IN (SELECT unnest(%(ids)s::text[])::{id_type})
