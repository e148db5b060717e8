-- What becomes of each absent car, by the lists that it was on; the others stay as they are.
UPDATE {delta} AS d
SET action = (%(actions)s::text[])[decided.rank + 1]
FROM (
    SELECT absent.id, coalesce(ranked.rank, %(unknown)s) AS rank
    FROM {delta} AS absent
    LEFT JOIN ({ranked}) AS ranked ON ranked.id = absent.id::text
    WHERE absent.action = 'absent'
) AS decided
WHERE d.id = decided.id AND (%(actions)s::text[])[decided.rank + 1] <> 'absent'
