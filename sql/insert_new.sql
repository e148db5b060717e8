-- Write new cars; {on_conflict} is empty, or lets a car stay that another session has
-- inserted since the delta was taken.
INSERT INTO {target} ({columns})
SELECT {values}
FROM {delta} AS d
JOIN {staging} AS s ON s.id = d.id
WHERE d.action = 'insert'
{on_conflict}
