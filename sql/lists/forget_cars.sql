-- The feed is read as one: which list its cars were on is not known any more.
WITH forgotten AS (
    DELETE FROM carsync.lists
    WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
    RETURNING list_id
)
DELETE FROM carsync.car_lists WHERE list_id IN (SELECT list_id FROM forgotten)
