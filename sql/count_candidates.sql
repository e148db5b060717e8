-- The source's active cars, and those of them that were neither staged nor rejected.
SELECT count(*) AS active,
       count(*) FILTER (
           WHERE s.id IS NULL AND r.id IS NULL
             AND coalesce(
                 greatest(t.created_at, t.updated_at, t.last_synced_at) <= %(oldest_fetch)s, true)
       ) AS candidates
FROM {target} AS t
LEFT JOIN (SELECT DISTINCT id FROM {staging}) AS s ON s.id = t.id
LEFT JOIN (
    SELECT DISTINCT record_id AS id FROM carsync.rejects WHERE run_id = %(run_id)s
) AS r ON r.id = t.id
WHERE t.source_api = %(source)s AND t.is_active
