-- Open rejects: of one run, or of the newest merged one and of those begun since. Where the run
-- has lists, a page's number is that within its list. They are read by name, for a table of before
-- the column was there.
SELECT j.run_id, CASE WHEN in_list.name IS NULL THEN j.page ELSE j.page %% %(each)s END,
       j.ordinal, j.record_id, j.column_name, j.reason, left(j.original, %(chars)s), j.original_kind,
       j.fetched_at, in_list.name
FROM carsync.rejects AS j
JOIN carsync.runs AS r ON r.run_id = j.run_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN j.page >= %(removals_from)s THEN 'removals'
                ELSE to_jsonb(r) #>> ARRAY['lists', (j.page / %(each)s)::text] END) AS in_list(name)
WHERE r.schema_name = %(schema)s AND r.table_name = %(table)s AND r.source = %(source)s
  AND j.settled_by IS NULL
  AND CASE WHEN %(run_id)s::bigint IS NULL THEN j.run_id >= %(since_run)s
           ELSE j.run_id = %(run_id)s END
ORDER BY j.run_id DESC, j.page, j.ordinal
LIMIT %(limit)s
