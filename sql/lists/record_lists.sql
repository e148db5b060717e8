-- The run's lists have a line each.
INSERT INTO carsync.lists (schema_name, table_name, source, name)
SELECT %(schema)s, %(table)s, %(source)s, listed.name
FROM unnest(%(names)s::text[]) AS listed(name)
WHERE NOT EXISTS (
    SELECT FROM carsync.lists AS l
    WHERE l.schema_name = %(schema)s AND l.table_name = %(table)s AND l.source = %(source)s
      AND l.name = listed.name)
ON CONFLICT DO NOTHING
