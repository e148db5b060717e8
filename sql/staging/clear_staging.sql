-- Forget all pages of a run and their rejects; the caller holds the target's lock.
WITH forgotten AS (
    DELETE FROM {ledger}
), settled AS (
    DELETE FROM carsync.rejects WHERE run_id = %(run_id)s
)
DELETE FROM {staging}
