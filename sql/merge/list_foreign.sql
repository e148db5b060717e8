SELECT d.id, t.source_api::text
FROM {delta} AS d
JOIN {target} AS t ON t.id = d.id
WHERE d.action = 'foreign'
ORDER BY d.id
LIMIT 3
