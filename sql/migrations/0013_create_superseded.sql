-- Cars that a merged run has read, or knows to be gone, while `run_id` was unfinished and had read
-- older pages: what these say of the cars is never merged, and the cars are not absent.
-- `latest_run`: the latest run of the source when the newer page was staged, as the ledger has it. It
-- tells which of two pages is the older one, whatever a clock says: one run at a time reads.
CREATE TABLE carsync.superseded (
    run_id bigint NOT NULL REFERENCES carsync.runs ON DELETE CASCADE,
    id text NOT NULL,
    latest_run bigint NOT NULL,
    PRIMARY KEY (run_id, id)
);
REVOKE ALL ON carsync.superseded FROM PUBLIC
