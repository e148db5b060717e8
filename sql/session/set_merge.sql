-- For this transaction: hash joins in memory, and never a nested loop over a staging
-- table that has no statistics. JIT compilation costs more than it saves here.
SELECT set_config(name, setting, true)
FROM (VALUES
    ('work_mem', '64MB'),
    ('enable_nestloop', 'off'),
    ('enable_mergejoin', 'off'),
    ('enable_hashjoin', 'on'),
    ('jit', 'off')
) AS wanted(name, setting)
