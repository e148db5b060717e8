-- The cars whose deactivation a run held and that are still active, longest absent first.
SELECT a.id, t.title
FROM carsync.absences AS a
JOIN {target} AS t ON t.id = a.id AND t.is_active
WHERE a.held_by_run = %(run_id)s
  AND a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
ORDER BY a.recorded_at, a.id
