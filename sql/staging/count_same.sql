-- How many of these records are staged with the very same values, or as unchanged with their hash:
-- the latter only where they lack none of the values, hashed or not, that the table has.
SELECT count(DISTINCT r.c1)
FROM json_to_recordset(%(rows)s::json) AS r({fields})
LEFT JOIN {staging} AS s ON s.id = r.c1
LEFT JOIN ONLY {seen} AS u ON u.id = r.c1
LEFT JOIN {target} AS t ON t.{key} = u.id
WHERE s.id IS NOT NULL AND ROW({columns}) IS NOT DISTINCT FROM ROW({values})
   OR u.data_hash = {data_hash} AND true <> ALL (ARRAY[{is_lacking}]::boolean[])
