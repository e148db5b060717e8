-- The types of a run's staging columns, as the server writes them.
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = pg_catalog.to_regclass({staging}) AND a.attnum > 0 AND NOT a.attisdropped
