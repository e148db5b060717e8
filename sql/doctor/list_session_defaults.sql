-- What role, database and server set (the value that RESET gives), and what holds now.
SELECT name,
       CASE WHEN unit = 'ms' AND reset_val <> '0'
            THEN reset_val::double precision / 1000 || ' s' ELSE reset_val END AS theirs,
       current_setting(name) AS ours
FROM pg_settings
WHERE name = ANY (%(names)s)
ORDER BY name
