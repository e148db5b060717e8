-- Absent cars by what becomes of them.
SELECT coalesce(ranked.rank, %(unknown)s) AS rank, count(*)
FROM ({absent}) AS absent
LEFT JOIN ({ranked}) AS ranked ON ranked.id = absent.id::text
GROUP BY 1
