-- Nobody writes the rows that are looked at until the transaction ends.
SELECT count(*)
FROM (
    SELECT FROM {target} AS t
    JOIN carsync.changes AS c ON t.{key} = c.id::{id_type}
    WHERE c.run_id = %(run_id)s AND c.action = ANY (%(actions)s::text[])
    FOR NO KEY UPDATE OF t
) AS locked
