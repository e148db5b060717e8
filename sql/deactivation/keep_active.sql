-- Cars that a trigger of the table kept active: it took the deactivation back, or let no row
-- be written.
UPDATE {delta} AS d
SET action = 'kept'
FROM {target} AS t
WHERE t.{key} = d.id AND (d.action = 'gone' AND t.is_active OR {is_going})
