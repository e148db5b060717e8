-- carsync's own schema: nobody else may look into it, so that no Data API serves it.
CREATE SCHEMA IF NOT EXISTS carsync;
REVOKE ALL ON SCHEMA carsync FROM PUBLIC;
CREATE TABLE IF NOT EXISTS carsync.migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
REVOKE ALL ON carsync.migrations FROM PUBLIC
