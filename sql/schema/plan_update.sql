-- Only planned, not done: fails where a publication needs a replica identity that the table, or a
-- partition of it, does not have.
EXPLAIN UPDATE {target} SET {key} = DEFAULT
