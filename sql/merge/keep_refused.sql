-- The car stays as it is: the table refuses what is to be written.
UPDATE {delta} SET action = 'kept' WHERE place = %(place)s AND action IN ('absent', 'sure', 'removed', 'told')
RETURNING id::text
