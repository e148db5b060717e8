-- A rejected record whose car another page of the run held as well: nothing is left to do.
UPDATE carsync.rejects AS j
SET settled_by = j.run_id
FROM (SELECT DISTINCT id FROM {staging}) AS s
WHERE j.run_id = %(run_id)s AND s.id = j.record_id
