-- All records that a run has staged, of which the staging table holds the values. Those whose row of the
-- target was just as the record says are here alone: they need no more.
CREATE UNLOGGED TABLE {seen} WITH (autovacuum_enabled = false) AS
SELECT page, ordinal, id, data_hash FROM {staging} WITH NO DATA;
ALTER TABLE {staging} INHERIT {seen};
COMMENT ON TABLE {seen} IS {purpose};
REVOKE ALL ON {seen} FROM PUBLIC
