-- A car that was deactivated is on no list.
DELETE FROM carsync.car_lists AS c
USING {delta} AS d, carsync.lists AS l
WHERE d.action = 'gone' AND c.id = d.id::text AND l.list_id = c.list_id
  AND l.schema_name = %(schema)s AND l.table_name = %(table)s AND l.source = %(source)s
