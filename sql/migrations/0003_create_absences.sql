-- Active cars that a complete run did not see and that are still active.
-- `absent_since_run`: the first such run whose evidence was good but for page drift;
-- a later one may take it as second proof. `held_by_run`: the last run that held the
-- car's deactivation, which an operator may approve.
CREATE TABLE carsync.absences (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    source text NOT NULL,
    id text NOT NULL,
    absent_since_run bigint REFERENCES carsync.runs ON DELETE SET NULL,
    held_by_run bigint REFERENCES carsync.runs ON DELETE SET NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (schema_name, table_name, source, id)
);
REVOKE ALL ON carsync.absences FROM PUBLIC
