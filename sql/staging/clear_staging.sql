-- Forget these pages of a run and their rejects; the caller holds the target's lock.
WITH forgotten AS (
    DELETE FROM {ledger} WHERE page BETWEEN %(first)s AND %(last)s
), settled AS (
    DELETE FROM carsync.rejects WHERE run_id = %(run_id)s AND page BETWEEN %(first)s AND %(last)s
)
DELETE FROM {seen} WHERE page BETWEEN %(first)s AND %(last)s
