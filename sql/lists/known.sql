-- The lists that cars were on: of each its place among those of the run, -1 where it has none.
SELECT c.id, coalesce(listed.place - 1, -1) AS place
FROM carsync.car_lists AS c
JOIN carsync.lists AS l USING (list_id)
LEFT JOIN unnest(%(names)s::text[]) WITH ORDINALITY AS listed(name, place) ON listed.name = l.name
WHERE l.schema_name = %(schema)s AND l.table_name = %(table)s AND l.source = %(source)s
