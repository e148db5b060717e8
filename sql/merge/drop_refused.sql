-- A record that became a reject is staged no more.
WITH refused AS (DELETE FROM {delta} WHERE place = %(place)s RETURNING id)
DELETE FROM {staging} AS s
USING refused
WHERE s.id = refused.id
