-- For this transaction: hash joins in memory, and never a nested loop over a staging
-- table that has no statistics. JIT compilation costs more than it saves here. Whoever has given
-- the role more memory than this keeps it: millions of rows go through fewer temporary files.
SELECT set_config(name, setting, true)
FROM (VALUES
    ('work_mem', (greatest(pg_size_bytes(current_setting('work_mem')), 64 << 20) >> 10) || 'kB'),
    ('enable_nestloop', 'off'),
    ('enable_mergejoin', 'off'),
    ('enable_hashjoin', 'on'),
    ('jit', 'off')
) AS wanted(name, setting)
