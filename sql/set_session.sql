-- Set each parameter that this server knows, for the whole session.
SELECT set_config(wanted.name, wanted.setting, false)
FROM unnest(%(names)s::text[], %(settings)s::text[]) AS wanted(name, setting)
JOIN pg_catalog.pg_settings AS known ON lower(known.name) = lower(wanted.name)
