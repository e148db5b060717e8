-- Cars this run saw on the feed, and the pages that listed them, as controls for requests by id:
-- those whose ids have the shape.
SELECT id, page
FROM (SELECT id::text AS id, page FROM {staging}) AS staged
WHERE length(id) BETWEEN %(shortest)s AND %(longest)s AND id ~ %(pattern)s AND page >= 0
ORDER BY random()
LIMIT %(limit)s
