-- Rejects of other merged runs whose cars this run has read since: a replay would bring back what
-- is older. Where it read the whole feed, those of earlier runs are replayed no more anyway.
UPDATE carsync.rejects AS j
SET settled_by = %(run_id)s
FROM carsync.runs AS r, ({read}) AS read
WHERE r.run_id = j.run_id AND j.settled_by IS NULL AND j.record_id = read.id AND {is_newest}
  AND r.schema_name = %(schema)s AND r.table_name = %(table)s AND r.source = %(source)s
  AND r.counts IS NOT NULL
  AND CASE WHEN %(is_of_all)s THEN r.run_id > %(run_id)s ELSE r.run_id <> %(run_id)s END
