-- Deactivate absent cars, record it, and take them out of the delta. Where a second proof is
-- asked for, only those that the API said are gone, or that an earlier complete run missed too
-- where that may serve as proof (`next_run`; NULL: for all).
WITH gone AS (
    UPDATE {target} AS t
    SET is_active = false, updated_at = now()
    FROM (
        SELECT d.id, t.xmin, {was}
        FROM {target} AS t
        JOIN {delta} AS d ON d.id = t.id
        WHERE d.action = 'absent'
          AND t.source_api = %(source)s
          AND t.is_active
          AND coalesce(
              greatest(t.created_at, t.updated_at, t.last_synced_at) <= %(oldest_fetch)s
              OR greatest(t.created_at, t.updated_at, t.last_synced_at) > now(), true)
          AND (NOT %(needs_proof)s
               OR d.id IN (SELECT unnest(%(gone)s::text[]))
               OR (%(next_run)s::text[] IS NULL OR d.id IN (SELECT unnest(%(next_run)s::text[])))
                  AND d.id IN (
                   SELECT a.id FROM carsync.absences AS a
                   WHERE a.schema_name = %(schema)s AND a.table_name = %(table)s
                     AND a.source = %(source)s AND a.absent_since_run < %(run_id)s))
        FOR NO KEY UPDATE OF t
    ) AS was("carsync id", "carsync version", {was_names})
    WHERE t.id = was."carsync id"
    RETURNING was."carsync id" AS id, was."carsync version" AS overwrote, {before} AS before, {after} AS after
), recorded AS (
    INSERT INTO carsync.changes (run_id, overwrote, id, action, before, after)
    SELECT {run_id}, overwrote, id, 'deactivated', before, after FROM gone WHERE {records}
)
DELETE FROM {delta} AS d
USING gone
WHERE d.id = gone.id
