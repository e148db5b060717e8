-- The table of listings; {columns} are all but the primary key.
CREATE TABLE {target} (id text PRIMARY KEY, {columns})
