-- Remember which cars are on which lists; only what is new is written. A car that a list does not
-- hold any more, and another one does, has left it: where that list was read whole, or is no
-- list of the feed any more.
WITH ours AS (
    SELECT l.list_id, listed.place - 1 AS place,
           coalesce(l.name = ANY (%(read)s::text[]), false) AS is_read
    FROM carsync.lists AS l
    LEFT JOIN unnest(%(names)s::text[]) WITH ORDINALITY AS listed(name, place)
        ON listed.name = l.name
    WHERE l.schema_name = %(schema)s AND l.table_name = %(table)s AND l.source = %(source)s
), seen AS MATERIALIZED (
    SELECT DISTINCT ours.list_id, found.id
    FROM ({listed}) AS found
    JOIN ours ON ours.place = found.place
    WHERE found.id IS NOT NULL
), added AS (
    INSERT INTO carsync.car_lists (id, list_id)
    SELECT seen.id, seen.list_id
    FROM seen
    WHERE NOT EXISTS (
        SELECT FROM carsync.car_lists AS c WHERE c.id = seen.id AND c.list_id = seen.list_id)
    ON CONFLICT DO NOTHING
), departed AS (
    DELETE FROM carsync.car_lists AS c
    USING ours
    WHERE c.list_id = ours.list_id AND (ours.is_read OR ours.place IS NULL)
      AND NOT EXISTS (
          SELECT FROM seen WHERE seen.id = c.id AND seen.list_id = c.list_id)
      AND EXISTS (SELECT FROM seen WHERE seen.id = c.id)
    RETURNING c.list_id, ours.is_read
)
UPDATE carsync.lists AS l
SET left_by_run = %(run_id)s
FROM (SELECT DISTINCT list_id FROM departed WHERE is_read) AS departed
WHERE l.list_id = departed.list_id
