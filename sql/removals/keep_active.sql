-- Cars that a trigger of the table kept active, or the table refused to let go.
UPDATE {delta} AS d
SET action = 'kept'
FROM {target} AS t
WHERE t.{key} = d.id AND t.is_active AND d.action IN ('removed', 'gone')
