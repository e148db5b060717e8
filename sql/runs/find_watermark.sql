-- The newest run that read all it asked for and was merged, since the last revert: what a revert
-- took back, only a run of the whole feed brings again.
SELECT {columns}
FROM carsync.runs
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND is_watermark AND api_clock IS NOT NULL
  AND run_id > coalesce((
      SELECT max(reverts.run_id) FROM carsync.runs AS reverts
      WHERE reverts.schema_name = %(schema)s AND reverts.table_name = %(table)s
        AND reverts.source = %(source)s
        AND reverts.reverts IS NOT NULL AND reverts.counts IS NOT NULL), 0)
ORDER BY run_id DESC
LIMIT 1
