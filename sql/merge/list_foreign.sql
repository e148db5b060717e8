SELECT d.id::text, t.source_api::text
FROM {delta} AS d
JOIN {target} AS t ON t.{key} = d.id
WHERE d.action = 'foreign'
ORDER BY d.id
LIMIT 3
