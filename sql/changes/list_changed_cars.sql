-- Some of the cars to which a run did the same, by id, with the title that they have now.
-- The title is taken out of the whole row because a table of another shape may have none.
SELECT c.id, to_jsonb(t) ->> 'title', c.before, c.after
FROM (
    SELECT id, before, after
    FROM carsync.changes
    WHERE run_id = %(run_id)s AND action = %(action)s
    ORDER BY id
    LIMIT %(limit)s
) AS c
LEFT JOIN {target} AS t ON t.{key} = c.id::{id_type}
ORDER BY c.id
