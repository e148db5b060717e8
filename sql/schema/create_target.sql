-- The table of listings. A feed changes a little
-- every day: were the table vacuumed at the default share, a fifth, dead rows and dead
-- copies of long values would make it a quarter larger before their space is used again.
CREATE TABLE {target} ({key} PRIMARY KEY, {columns})
    WITH (autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05)
