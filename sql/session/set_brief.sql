-- For this transaction: give up rather than wait, for a lock or for the disk; what it
-- writes may be lost where the server crashes.
SELECT set_config(name, setting, true)
FROM (VALUES
    ('lock_timeout', '1000'),
    ('statement_timeout', '5000'),
    ('synchronous_commit', 'off')
) AS wanted(name, setting)
