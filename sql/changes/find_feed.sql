-- Whether there is a feed of changes in this database, and may be told of its news here.
SELECT pg_catalog.to_regclass('carsync.change_batches') IS NOT NULL, pg_catalog.pg_is_in_recovery()
