-- When the oldest page was asked for, and when this target and source was last merged.
-- Every earlier run was merged before this one asked for anything, whatever the clock
-- says: it may have been set back in between. A merge in the future says nothing.
SELECT greatest(pages.oldest_at, merges.last_at), merges.last_at
FROM (SELECT coalesce(min(fetched_at), clock_timestamp()) AS oldest_at FROM {ledger}) AS pages,
     (SELECT max(earlier.merged_at) AS last_at
      FROM carsync.runs AS ours
      JOIN carsync.runs AS earlier USING (schema_name, table_name, source)
      WHERE ours.run_id = %(run_id)s
        AND earlier.run_id < ours.run_id
        AND earlier.merged_at <= now()) AS merges
