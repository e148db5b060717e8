-- Runs whose changes are old enough to be forgotten, and those of which some are left.
UPDATE carsync.runs
SET changes_origin = 'expired'
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND changes_origin <> 'pruned'
  AND merged_at <= now() - make_interval(secs => %(keep_s)s)
RETURNING run_id
