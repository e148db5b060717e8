-- Deactivate absent cars, record it, and take them out of the delta. Where each needs a proof,
-- only those go that the API said are gone, or that an earlier complete run missed too where
-- that counts as proof (`next_run`).
WITH written AS (
    UPDATE {target} AS t
    SET is_active = false, updated_at = now()
    FROM (
        SELECT d.id, t.xmin, {was}
        FROM {target} AS t
        JOIN {delta} AS d ON d.id = t.id
        WHERE d.action = 'absent'
          AND {is_expected}
          AND (NOT %(needs_proof)s
               OR d.id IN (SELECT unnest(%(gone)s::text[]))
               OR %(next_run)s AND d.id IN (
                   SELECT a.id FROM carsync.absences AS a
                   WHERE a.schema_name = %(schema)s AND a.table_name = %(table)s
                     AND a.source = %(source)s AND a.absent_since_run < %(run_id)s))
        FOR NO KEY UPDATE OF t
    ) AS was("carsync id", "carsync version", {was_names})
    WHERE t.id = was."carsync id"
    RETURNING was."carsync id" AS id, 'deactivated' AS action,
        was."carsync version" AS overwrote, {before} AS before, {after} AS after
), recorded AS ({record})
DELETE FROM {delta} AS d
USING written
WHERE d.id = written.id
