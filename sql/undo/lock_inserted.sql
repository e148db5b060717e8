-- Nobody refers anew to the cars that are to be deleted: whoever does now is waited for, and
-- seen by what comes next.
SELECT count(*)
FROM (
    SELECT FROM {target} AS t
    JOIN carsync.changes AS c ON t.{key} = c.id::{id_type}
    WHERE c.run_id = %(run_id)s AND c.action = 'inserted' AND c.action = ANY (%(actions)s::text[])
    FOR UPDATE OF t
) AS locked
