-- Transactions that wrote lines commit one after another from here on: the lock goes with the
-- transaction, after its rows have become visible.
SELECT pg_advisory_xact_lock(hashtextextended('carsync.change_batches', 0))
