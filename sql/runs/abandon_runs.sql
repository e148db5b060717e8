-- Unfinished runs that will not be resumed.
WITH abandoned AS (
    UPDATE carsync.runs
    SET state = 'abandoned', finished_at = clock_timestamp()
    WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
      AND run_id <> ALL (%(keep)s::bigint[]) AND counts IS NULL
      AND state IN ('running', 'interrupted', 'failed')
    RETURNING run_id
), forgotten AS (
    DELETE FROM carsync.superseded AS s
    USING carsync.runs AS r
    WHERE r.schema_name = %(schema)s AND r.table_name = %(table)s AND r.source = %(source)s
      AND s.run_id = r.run_id AND r.run_id <> ALL (%(keep)s::bigint[])
)
SELECT count(*) FROM abandoned
