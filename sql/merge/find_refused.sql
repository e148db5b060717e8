-- The record of a refused row: its place in the feed, its id, and the row as JSON, in which JSON
-- columns are texts.
SELECT s.page, s.ordinal, s.id::text, (SELECT row_to_json(r) FROM (SELECT {mapped}) AS r)::text
FROM {delta} AS d
JOIN {staging} AS s ON s.id = d.id
WHERE d.place = %(place)s
