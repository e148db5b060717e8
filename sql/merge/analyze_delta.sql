-- Few rows are to be written: with this the planner knows it, and looks them up in the table instead
-- of reading it whole, twice for each statement.
ANALYZE {delta} (id, action);
ANALYZE {staging} (id)
