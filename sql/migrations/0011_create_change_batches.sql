-- The feed of changes: in which order transactions that wrote lines of `carsync.changes` were
-- committed. The order of runs does not say it: two feeds are merged at the same time.
-- `line` numbers the lines as they are written, whoever writes them; the lines of older runs have
-- none and are not of the feed. (A default on the column itself would rewrite the table.)
CREATE SEQUENCE carsync.change_lines;
REVOKE ALL ON SEQUENCE carsync.change_lines FROM PUBLIC;
ALTER TABLE carsync.changes ADD COLUMN line bigint;
ALTER TABLE carsync.changes ALTER COLUMN line SET DEFAULT nextval('carsync.change_lines');
ALTER SEQUENCE carsync.change_lines OWNED BY carsync.changes.line;
CREATE INDEX changes_by_line ON carsync.changes USING brin (line)
    WITH (pages_per_range = 16, autosummarize = on);
-- One row per transaction: a merge, an approval, a revert, a replay. `position` is drawn under a
-- lock that is held until the transaction ends, so that positions are the order of commits: a
-- reader that has seen one never finds a smaller one later. The lines are those of the run
-- between `first_line` and `last_line`; both are NULL where the run's changes were not recorded.
-- `token` tells this history from another one: a restored copy goes on with the same positions.
-- The first row is of no run: before it there is no feed.
CREATE TABLE carsync.change_batches (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token uuid NOT NULL DEFAULT gen_random_uuid(),
    run_id bigint,
    schema_name text,
    table_name text,
    source text,
    first_line bigint,
    last_line bigint,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
REVOKE ALL ON carsync.change_batches FROM PUBLIC;
INSERT INTO carsync.change_batches DEFAULT VALUES
