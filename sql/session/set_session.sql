-- Set each parameter that this server knows, for the whole session. Messages are English where
-- the role may say so, for the reader's sake. Names are resolved in pg_catalog alone: in another
-- schema of the role's search_path, anybody who may create functions there could offer a closer
-- match for the types of a call, to be run as this role. The role's own path is kept aside for
-- what the target itself runs (`take_role_path`).
SELECT pg_catalog.set_config(wanted.name, wanted.setting, false)
FROM ROWS FROM (
    pg_catalog.unnest(%(names)s::pg_catalog.text[]),
    pg_catalog.unnest(%(settings)s::pg_catalog.text[])
) AS wanted(name, setting)
JOIN pg_catalog.pg_settings AS known
    ON pg_catalog.lower(known.name) OPERATOR(pg_catalog.=) pg_catalog.lower(wanted.name)
UNION ALL
SELECT pg_catalog.set_config('lc_messages', 'C', false)
WHERE pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'on'
UNION ALL
SELECT pg_catalog.set_config('carsync.role_path', pg_catalog.array_to_string(ARRAY(
    SELECT pg_catalog.quote_ident(schema)
    FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) AS path(schema)
    WHERE schema OPERATOR(pg_catalog.<>) 'pg_catalog'), ', '), false)
UNION ALL
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)
