-- The source's active cars, and the absent ones among them, by the list that they were on (NULL:
-- nobody knows). A car that was on two is counted for both.
SELECT known.place, count(*) AS active, count(absent.id) AS candidates
FROM {target} AS t
LEFT JOIN ({absent}) AS absent ON absent.id = t.{key}::text
LEFT JOIN ({known}) AS known ON known.id = t.{key}::text
WHERE t.source_api = {source} AND t.is_active
GROUP BY known.place
