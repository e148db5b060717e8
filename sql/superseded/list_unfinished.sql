-- Other unfinished runs of the run's target and source that keep what they staged.
SELECT other.run_id
FROM carsync.runs AS ours
JOIN carsync.runs AS other USING (schema_name, table_name, source)
WHERE ours.run_id = %(run_id)s AND other.run_id <> ours.run_id
  AND other.counts IS NULL AND other.state IN ('running', 'interrupted', 'failed', 'held')
  AND to_regclass('carsync.staging_' || other.run_id) IS NOT NULL
  AND to_regclass('carsync.ledger_' || other.run_id) IS NOT NULL
