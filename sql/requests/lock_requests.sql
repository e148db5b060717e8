-- One session at a time reserves requests of a feed; what it reserves is on the disk at COMMIT.
SELECT set_config('synchronous_commit', 'on', true),
       pg_advisory_xact_lock(hashtextextended(
           'carsync requests:' || %(schema)s || '.' || %(table)s || ':' || %(source)s, 0))
