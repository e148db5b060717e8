-- How many of these records are staged with the very same values.
SELECT count(DISTINCT s.id)
FROM json_to_recordset(%(rows)s::json) AS r({fields})
JOIN {staging} AS s ON s.id = r.c1
WHERE ROW({columns}) IS NOT DISTINCT FROM ROW({values})
