-- For parts of a revert, the smaller the more of them: by the indexes, else each would read
-- the whole table.
SELECT set_config(name, setting, true)
FROM (VALUES ('enable_nestloop', 'on'), ('enable_hashjoin', 'off')) AS wanted(name, setting)
