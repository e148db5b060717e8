-- The lists that a feed is read by (`api.lists`), and the cars that each held when it was read
-- last: where a list cannot be read, the cars that were on it are not absent. `left_by_run`: the
-- last run that found a car of the list on another one instead.
CREATE TABLE carsync.lists (
    list_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    source text NOT NULL,
    name text NOT NULL,
    left_by_run bigint,
    UNIQUE (schema_name, table_name, source, name)
);
REVOKE ALL ON carsync.lists FROM PUBLIC;
CREATE TABLE carsync.car_lists (
    id text NOT NULL,
    list_id integer NOT NULL,
    PRIMARY KEY (id, list_id)
);
REVOKE ALL ON carsync.car_lists FROM PUBLIC;
-- The lists of a run, in the order in which its pages are numbered: a million numbers each.
ALTER TABLE carsync.runs ADD COLUMN lists text[]
