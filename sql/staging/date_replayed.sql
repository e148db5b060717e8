-- A replayed page is exactly as old as it was when it was asked for.
UPDATE {ledger} AS l
SET fetched_at = (
    SELECT min(j.fetched_at) FROM carsync.rejects AS j
    WHERE j.run_id = %(replay_of)s AND j.page = l.page)
