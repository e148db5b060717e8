-- Cars this run saw on the feed, the pages that listed them, and the values by which they are asked
-- for, as controls for requests by id: those whose values have the shape.
SELECT t.id::text, t.page, ARRAY[{values}]
FROM {staging} AS t
WHERE length({value}) BETWEEN %(shortest)s AND %(longest)s AND {value} ~ %(pattern)s
  AND {beside} = %(beside)s AND t.page >= 0
ORDER BY random()
LIMIT %(limit)s
