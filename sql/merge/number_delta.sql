-- The target refuses a row: from now on the delta is written by halves, by way of indexes, and in
-- an order that has nothing to do with the feed's.
ALTER TABLE {delta} ADD COLUMN place bigint;
UPDATE {delta} AS d
SET place = numbered.place
FROM (SELECT id, row_number() OVER (ORDER BY hashtext(id::text), id) - 1 AS place FROM {delta}) AS numbered
WHERE numbered.id = d.id;
CREATE INDEX ON {delta} (place);
CREATE INDEX ON {staging} (id);
ANALYZE {delta} (place, id);
ANALYZE {staging} (id)
