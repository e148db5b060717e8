-- For this transaction: few rows of a large table, by its index, whatever its statistics say.
SELECT set_config(name, setting, true)
FROM (VALUES ('enable_seqscan', 'off'), ('max_parallel_workers_per_gather', '0'))
    AS wanted(name, setting)
