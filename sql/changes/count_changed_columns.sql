-- In how many of the cars that a run updated each column changed.
SELECT k.name, count(*)
FROM carsync.changes AS c
CROSS JOIN LATERAL jsonb_object_keys(c.after) AS k (name)
WHERE c.run_id = %(run_id)s AND c.action = 'updated'
GROUP BY k.name
ORDER BY count(*) DESC, k.name
