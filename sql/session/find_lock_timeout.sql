-- In milliseconds.
SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'
