-- The API itself said that these cars still exist.
DELETE FROM {delta} AS d
USING unnest(%(alive)s::text[]) AS alive(id)
WHERE d.action = 'absent' AND d.id::text = alive.id
