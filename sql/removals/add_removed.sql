-- The cars that go by a tombstone, and those that it only tells of, join those that are to be written.
WITH proved AS (
    UPDATE {delta} AS d
    SET action = n.verdict
    FROM {removed} AS n
    WHERE n.id = d.id AND d.action = 'absent' AND n.verdict = 'removed'
)
INSERT INTO {delta} (id, action)
SELECT n.id, n.verdict
FROM {removed} AS n
WHERE NOT EXISTS (SELECT FROM {delta} AS d WHERE d.id = n.id)
