-- What each merge, approval and revert wrote into its target, to be taken back by
-- `carsync revert`. `before` and `after` hold the columns that changed, each value as
-- PostgreSQL's text of it (NULL: null), which gives back every type to the byte; `after`
-- leaves out the clocks that every write moves. Both are NULL for a car that was inserted;
-- of one that a revert deleted, `before` is the whole row.
-- A line and the row that it is about are written in one (sub)transaction: as long as their
-- xmin is the same, nobody has written the row since. `overwrote` is the xmin of what the
-- line's run overwrote or deleted: the row is that version again once the line is taken back.
-- No foreign key: its check would cost more than the line, and memory for each until the
-- statement ends. BRIN: lines come in the order of runs and are read a run at a time.
CREATE TABLE carsync.changes (
    run_id bigint NOT NULL,
    overwrote xid,
    id text NOT NULL,
    action text NOT NULL,
    before jsonb,
    after jsonb,
    CHECK (action IN ('inserted', 'updated', 'reactivated', 'deactivated', 'deleted'))
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX changes_by_run ON carsync.changes USING brin (run_id)
    WITH (pages_per_range = 16, autosummarize = on);
REVOKE ALL ON carsync.changes FROM PUBLIC;
-- `reverts`: the run that this one takes back. `changes_origin`: the server and table in
-- which the run's changes were recorded, where alone their xmin says something (NULL: none
-- were; 'pruned': they were). `scope`: whether the run reads the whole feed, only its first
-- pages, or reads it and rolls back what it did.
ALTER TABLE carsync.runs
    ADD COLUMN reverts bigint REFERENCES carsync.runs ON DELETE SET NULL,
    ADD COLUMN changes_origin text,
    ADD COLUMN scope text NOT NULL DEFAULT 'whole' CHECK (scope IN ('whole', 'sample', 'dry'))
