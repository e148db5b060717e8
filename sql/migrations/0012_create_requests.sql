-- Requests to the API by hour (UTC) and kind, over all runs of a feed. `reserved`: requests that a
-- run may send under `limits.budget`; it moves them to their kind once they are sent.
CREATE TABLE carsync.requests (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    source text NOT NULL,
    hour timestamptz NOT NULL,
    kind text NOT NULL,
    requests bigint NOT NULL,
    PRIMARY KEY (schema_name, table_name, source, hour, kind)
);
REVOKE ALL ON carsync.requests FROM PUBLIC
