-- What must outlive a run that is never merged, and the copying of tables.
-- `seen_by_run`: a run staged or rejected a record of the car since; it may be dead, and its
-- line and its tables gone (so no foreign key). Its absence is no evidence any more. Of runs
-- that are unfinished now nobody noted it: they may have seen every car.
ALTER TABLE carsync.absences ADD COLUMN seen_by_run bigint;
UPDATE carsync.absences AS a
SET seen_by_run = r.run_id, absent_since_run = NULL
FROM carsync.runs AS r
WHERE r.schema_name = a.schema_name AND r.table_name = a.table_name AND r.source = a.source
  AND r.counts IS NULL AND r.run_id > coalesce(a.held_by_run, a.absent_since_run);
-- `change_xids`: the transactions, and subtransactions, that wrote the run's lines of
-- `carsync.changes`. A line with another xmin is a copy: a dump put back gives all rows, and all
-- lines, one xmin, which says nothing then of who wrote a row last. NULL: nobody knows.
ALTER TABLE carsync.runs ADD COLUMN change_xids xid[];
UPDATE carsync.runs AS r
SET change_xids = written.xids
FROM (
    SELECT run_id, array_agg(version) AS xids
    FROM (SELECT DISTINCT run_id, xmin AS version FROM carsync.changes) AS line
    GROUP BY run_id
) AS written
WHERE written.run_id = r.run_id
