-- A car that another table refers to is not deleted, whatever that table says of deletions:
-- its rows belong to others.
UPDATE {reversal} AS v
SET refused = 'is referred to by ' || {words}
FROM {target} AS t
WHERE v.action = 'inserted' AND v.refused IS NULL AND t.{key} = v.id::{id_type}
  AND EXISTS (SELECT FROM {referrer} AS r WHERE ROW({columns}) = ROW({referred}))
