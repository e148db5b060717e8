-- Rejects of other merged runs whose cars went after they were read: a replay would bring them back.
UPDATE carsync.rejects AS j
SET settled_by = {run_id}
FROM carsync.runs AS r, ({newest}) AS newest
WHERE r.run_id = j.run_id AND r.run_id <> {run_id} AND r.counts IS NOT NULL
  AND r.schema_name = {schema_name} AND r.table_name = {table_name} AND r.source = {source}
  AND j.settled_by IS NULL AND j.page < {removals_from} AND j.record_id = newest.id::text
  AND newest.removed_at > j.fetched_at + {offset}
