INSERT INTO carsync.requests AS kept (schema_name, table_name, source, hour, kind, requests)
SELECT %(schema)s, %(table)s, %(source)s, %(hour)s, given.kind, given.requests
FROM unnest(%(kinds)s::text[], %(counts)s::bigint[]) AS given (kind, requests)
ORDER BY given.kind
ON CONFLICT (schema_name, table_name, source, hour, kind)
DO UPDATE SET requests = kept.requests + excluded.requests
