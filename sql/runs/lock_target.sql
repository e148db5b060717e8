-- One run at a time on a table; the lock goes with the session.
SELECT pg_try_advisory_lock(hashtextextended('carsync:' || %(target)s, 0))
