-- One migrating session at a time, until its transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('carsync.migrations', 0))
