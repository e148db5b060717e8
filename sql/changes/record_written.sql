-- Record the rows that the statement has written, unless no record is kept.
INSERT INTO carsync.changes (run_id, overwrote, id, action, before, after)
SELECT {run_id}, overwrote::xid, id, action, before::jsonb, after::jsonb
FROM written
WHERE {records}
