-- What becomes of absent cars by the lists that they were on: the strictest rank of these.
SELECT known.id, max(coalesce((%(ranks)s::integer[])[known.place + 1], %(removed)s)) AS rank
FROM ({known}) AS known
GROUP BY known.id
