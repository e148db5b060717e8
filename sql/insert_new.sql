-- Write new cars. One that another session inserted since the delta was taken stays.
INSERT INTO {target} ({columns})
SELECT {values}
FROM {delta} AS d
JOIN {staging} AS s ON s.id = d.id
WHERE d.action = 'insert'
ON CONFLICT (id) DO NOTHING
