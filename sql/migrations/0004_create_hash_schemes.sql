-- How the data_hash values of a table were made; another scheme rewrites every row once.
CREATE TABLE carsync.hash_schemes (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    source text NOT NULL,
    scheme text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (schema_name, table_name, source)
);
REVOKE ALL ON carsync.hash_schemes FROM PUBLIC
