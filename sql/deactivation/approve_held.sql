-- Deactivate those of the cars shown (`ids`) that the run held and nobody wrote or saw since,
-- and record it as the run's own doing.
WITH written AS (
    UPDATE {target} AS t
    SET is_active = false, updated_at = now()
    FROM (
        SELECT a.id, t.xmin, {was}
        FROM {target} AS t
        JOIN carsync.absences AS a ON t.{key} OPERATOR(pg_catalog.=) a.id::{id_type}
        JOIN carsync.runs AS r ON r.run_id = a.held_by_run
        WHERE a.held_by_run = %(run_id)s
          AND a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
          AND a.id IN (SELECT pg_catalog.unnest(%(ids)s::text[])) AND a.seen_by_run IS NULL
          AND {is_expected}
        FOR NO KEY UPDATE OF t
    ) AS was("carsync id", "carsync version", {was_names})
    WHERE t.{key} OPERATOR(pg_catalog.=) was."carsync id"::{id_type}
    RETURNING was."carsync id" AS id,
        CASE WHEN t.is_active THEN 'updated' ELSE 'deactivated' END AS action,
        was."carsync version" AS overwrote, {before} AS before, {after} AS after
), recorded AS ({record}), settled AS (
    DELETE FROM carsync.absences AS a
    USING written
    WHERE a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
      AND a.id = written.id AND written.action = 'deactivated'
)
SELECT id, action = 'deactivated' FROM written
