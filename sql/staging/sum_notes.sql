-- What the staged pages tell of the columns: how many values became the default, with the
-- example of the lowest page, and whether no record of the feed holds anything at the path.
WITH unread AS (
    SELECT u.key AS name, sum((u.value ->> 'count')::bigint)::bigint AS count, min(l.page) AS page
    FROM {ledger} AS l
    CROSS JOIN jsonb_each(l.notes -> 'unread') AS u
    GROUP BY u.key
), absent AS (
    SELECT a.name, count(*) AS pages
    FROM {ledger} AS l
    CROSS JOIN jsonb_array_elements_text(l.notes -> 'absent') AS a(name)
    GROUP BY a.name
    HAVING count(*) = (SELECT count(*) FROM {ledger} AS l WHERE l.records > 0)
)
SELECT name, coalesce(unread.count, 0),
       l.notes #>> ARRAY['unread', name, 'record_id'], l.notes #>> ARRAY['unread', name, 'reason'],
       absent.name IS NOT NULL
FROM unread
FULL JOIN absent USING (name)
LEFT JOIN {ledger} AS l ON l.page = unread.page
