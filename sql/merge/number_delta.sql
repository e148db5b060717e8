-- The target refuses a row: from now on the delta is written by halves, by way of indexes.
ALTER TABLE {delta} ADD COLUMN place bigint GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0);
CREATE INDEX ON {delta} (place);
CREATE INDEX ON {staging} (id);
ANALYZE {delta} (place, id);
ANALYZE {staging} (id)
