-- The largest moves of a price column in one direction (1: up, -1: down). A price of 0 is
-- one that the feed does not tell: neither a start nor an end of a move.
WITH moved AS (
    SELECT id,
           CASE WHEN before ->> %(column)s ~ '^[0-9]{{1,30}}([.][0-9]+)?$'
                THEN (before ->> %(column)s)::numeric END AS old,
           CASE WHEN after ->> %(column)s ~ '^[0-9]{{1,30}}([.][0-9]+)?$'
                THEN (after ->> %(column)s)::numeric END AS new
    FROM carsync.changes
    WHERE run_id = %(run_id)s AND action = 'updated'
), largest AS (
    SELECT id, old, new
    FROM moved
    WHERE old > 0 AND new > 0 AND (new - old) * %(direction)s > 0
    ORDER BY (new - old) * %(direction)s DESC, id
    LIMIT %(limit)s
)
SELECT m.id, to_jsonb(t) ->> 'title', m.old::float8, m.new::float8
FROM largest AS m
LEFT JOIN {target} AS t ON t.{key} = m.id::{id_type}
ORDER BY (m.new - m.old) * %(direction)s DESC, m.id
