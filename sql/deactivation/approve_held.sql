-- Deactivate those of the cars shown (`ids`) that the run held and nobody wrote since, and
-- record it as the run's own doing.
WITH gone AS (
    UPDATE {target} AS t
    SET is_active = false, updated_at = now()
    FROM (
        SELECT a.id, t.xmin, {was}
        FROM {target} AS t
        JOIN carsync.absences AS a ON a.id = t.id
        JOIN carsync.runs AS r ON r.run_id = a.held_by_run
        WHERE a.held_by_run = %(run_id)s
          AND a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
          AND a.id IN (SELECT unnest(%(ids)s::text[]))
          AND t.source_api = %(source)s
          AND t.is_active
          AND coalesce(greatest(t.created_at, t.updated_at, t.last_synced_at) <= r.merged_at
                       OR greatest(t.created_at, t.updated_at, t.last_synced_at) > now(), true)
        FOR NO KEY UPDATE OF t
    ) AS was("carsync id", "carsync version", {was_names})
    WHERE t.id = was."carsync id"
    RETURNING was."carsync id" AS id, was."carsync version" AS overwrote, {before} AS before, {after} AS after
), recorded AS (
    INSERT INTO carsync.changes (run_id, overwrote, id, action, before, after)
    SELECT {run_id}, overwrote, id, 'deactivated', before, after FROM gone WHERE {records}
)
DELETE FROM carsync.absences AS a
USING gone
WHERE a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
  AND a.id = gone.id
RETURNING a.id
