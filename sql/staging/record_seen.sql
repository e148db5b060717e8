-- The cars of pages that are staged in this transaction are absent no longer, whatever becomes
-- of the run and its tables: an earlier run's hold of them can be approved no more, nor serve
-- as second proof. In the order of ids, so that writers do not wait for each other in a circle.
UPDATE carsync.absences AS a
SET seen_by_run = {run_id}, absent_since_run = NULL
FROM (
    SELECT known.schema_name, known.table_name, known.source, known.id
    FROM carsync.absences AS known
    JOIN carsync.runs AS r USING (schema_name, table_name, source)
    WHERE r.run_id = {run_id}
      AND known.id IN (SELECT unnest(%(ids)s::text[]))
      AND known.seen_by_run IS DISTINCT FROM {run_id}
    ORDER BY known.id
    FOR NO KEY UPDATE OF known
) AS seen
WHERE a.schema_name = seen.schema_name AND a.table_name = seen.table_name
  AND a.source = seen.source AND a.id = seen.id
