-- The same, counted by column and reason; chr(1) stands for what a reason quotes
-- of the value: no encoding of a database lacks it.
SELECT j.column_name,
       regexp_replace(j.reason, '^(?:''.*''|".*"|-?[0-9][0-9.e+-]*)', chr(1)) AS kind,
       count(*)
FROM carsync.rejects AS j
JOIN carsync.runs AS r ON r.run_id = j.run_id
WHERE r.schema_name = %(schema)s AND r.table_name = %(table)s AND r.source = %(source)s
  AND j.settled_by IS NULL
  AND CASE WHEN %(run_id)s::bigint IS NULL THEN j.run_id >= %(since_run)s
           ELSE j.run_id = %(run_id)s END
GROUP BY 1, 2
