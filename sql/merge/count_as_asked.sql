-- Of each action, the cars that now are as the feed says, and those that are not although nobody
-- else wrote them: a trigger of the table keeps them otherwise.
SELECT action, count(*) FILTER (WHERE is_as_asked), count(*) FILTER (WHERE NOT is_as_asked AND is_ours)
FROM (
    SELECT d.action,
           coalesce(t.data_hash = d.data_hash AND t.is_active AND t.source_api = {source}, false)
               AS is_as_asked,
           t.{key} IS NULL OR {is_untouched} OR {touched_at} = now() AS is_ours
    FROM {delta} AS d
    LEFT JOIN {target} AS t ON t.{key} = d.id
    WHERE d.action IN ('update', 'reactivate', 'insert')
) AS written
GROUP BY action
