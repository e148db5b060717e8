-- Write new cars, and record which; {on_conflict} is empty, or lets a car stay that another
-- session has inserted since the delta was taken.
WITH written AS (
    INSERT INTO {target} AS t ({columns})
    SELECT {values}
    FROM {delta} AS d
    JOIN {staging} AS s ON s.id = d.id
    WHERE d.action = 'insert'
    {on_conflict}
    RETURNING t.id
), recorded AS (
    INSERT INTO carsync.changes (run_id, id, action)
    SELECT {run_id}, id, 'inserted' FROM written WHERE {records}
)
SELECT count(*) FROM written
