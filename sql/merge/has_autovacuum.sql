-- Will autovacuum analyze the table by itself? ANALYZE of single columns does not put it off.
SELECT current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean
   AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_class AS c
       CROSS JOIN LATERAL pg_catalog.pg_options_to_table(c.reloptions) AS o
       WHERE c.oid = to_regclass({target})
         AND o.option_name = 'autovacuum_enabled' AND NOT o.option_value::boolean)
