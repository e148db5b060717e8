-- Active cars of the source that were neither staged nor rejected, longest unseen first.
SELECT t.id
FROM {target} AS t
LEFT JOIN carsync.absences AS a
    ON a.schema_name = %(schema)s AND a.table_name = %(table)s
    AND a.source = %(source)s AND a.id = t.id
WHERE t.source_api = %(source)s AND t.is_active
  AND coalesce(
      greatest(t.created_at, t.updated_at, t.last_synced_at) <= %(oldest_fetch)s
      OR greatest(t.created_at, t.updated_at, t.last_synced_at) > now(), true)
  AND NOT EXISTS (SELECT FROM {staging} AS s WHERE s.id = t.id)
  AND NOT EXISTS (
      SELECT FROM carsync.rejects AS r WHERE r.run_id = %(run_id)s AND r.record_id = t.id)
ORDER BY a.recorded_at NULLS LAST, t.id
LIMIT %(limit)s
