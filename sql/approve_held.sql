-- Deactivate those of the cars shown (`ids`) that the run held and nobody wrote since.
WITH gone AS (
    UPDATE {target} AS t
    SET is_active = false, updated_at = now()
    FROM carsync.absences AS a
    JOIN carsync.runs AS r ON r.run_id = a.held_by_run
    WHERE a.held_by_run = %(run_id)s
      AND a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
      AND a.id IN (SELECT unnest(%(ids)s::text[]))
      AND t.id = a.id
      AND t.source_api = %(source)s
      AND t.is_active
      AND coalesce(greatest(t.created_at, t.updated_at, t.last_synced_at) <= r.merged_at
                   OR greatest(t.created_at, t.updated_at, t.last_synced_at) > now(), true)
    RETURNING a.id
)
DELETE FROM carsync.absences AS a
USING gone
WHERE a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
  AND a.id = gone.id
RETURNING a.id
