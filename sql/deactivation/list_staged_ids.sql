-- Cars this run saw on the feed, the pages that listed them, and the values by which they are asked
-- for, as controls for requests by id: those whose values have the shape. Of unchanged cars the
-- table has the values.
SELECT t.id, t.page, ARRAY[{values}]
FROM (
    SELECT s.page, {staged_columns} FROM {staging} AS s
    UNION ALL
    SELECT s.page, {target_columns}
    FROM ONLY {seen} AS s
    JOIN {target} AS t ON t.{key} = s.id
) AS t
WHERE length({value}) BETWEEN %(shortest)s AND %(longest)s AND {value} ~ %(pattern)s
  AND {beside} = %(beside)s AND t.page >= 0
ORDER BY random()
LIMIT %(limit)s
