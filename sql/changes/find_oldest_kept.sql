-- The last batch of the table of which lines are missing, or the first row of all: what is kept
-- comes behind it, without a gap.
SELECT b.position, b.token::text
FROM carsync.change_batches AS b
LEFT JOIN carsync.runs AS r USING (run_id)
WHERE b.run_id IS NULL
   OR b.schema_name = %(schema)s AND b.table_name = %(table)s
      AND (b.first_line IS NULL OR r.changes_origin IS NULL
           OR r.changes_origin IN ('expired', 'pruned'))
ORDER BY b.position DESC
LIMIT 1
