-- The first cars whose deactivation a run held, by id, and why one stays active: the
-- table, or a later run, tells something of it that the run did not know. Read by name, for a
-- table of before the column was there.
SELECT a.id,
       to_jsonb(t) ->> 'title',
       CASE
           WHEN t.{key} IS NULL THEN 'is no longer in the table'
           WHEN t.source_api IS DISTINCT FROM %(source)s THEN 'belongs to another source now'
           WHEN t.is_active IS NOT TRUE THEN 'is inactive already'
           WHEN to_jsonb(a) ->> 'seen_by_run' IS NOT NULL
               THEN concat('was seen by run ', to_jsonb(a) ->> 'seen_by_run', ', which was not merged')
           WHEN NOT {is_untouched} THEN 'was written since'
       END AS left_out
FROM carsync.absences AS a
JOIN carsync.runs AS r ON r.run_id = a.held_by_run
LEFT JOIN {target} AS t ON t.{key} = a.id::{id_type}
WHERE a.held_by_run = %(run_id)s
  AND a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
ORDER BY a.id
LIMIT %(limit)s
