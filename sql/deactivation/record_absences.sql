-- Cars left active although this run did not see them: held, for an operator to approve.
-- Only a run whose evidence was good but for page drift (`needs_proof`) may serve a later one
-- as second proof.
INSERT INTO carsync.absences AS known
    (schema_name, table_name, source, id, absent_since_run, held_by_run)
SELECT %(schema)s, %(table)s, %(source)s, d.id::text,
       CASE WHEN d.action = 'absent' AND %(needs_proof)s AND %(next_run)s THEN %(run_id)s END, %(run_id)s
FROM {delta} AS d
WHERE d.action = ANY (%(recorded)s)
ON CONFLICT (schema_name, table_name, source, id) DO UPDATE
SET absent_since_run = coalesce(known.absent_since_run, excluded.absent_since_run),
    held_by_run = excluded.held_by_run, seen_by_run = NULL
