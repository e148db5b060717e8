-- Unfinished runs that another kind of run leaves alone: those that read the whole feed, begun by a
-- whole run and young enough, and those that wait for an approval. The new token fences out whoever
-- still works for one.
UPDATE carsync.runs
SET token = gen_random_uuid(), state = CASE state WHEN 'running' THEN 'interrupted' ELSE state END
WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
  AND replay_of IS NULL AND reverts IS NULL AND scope = 'whole' AND mode = ANY (%(modes)s::text[])
  AND counts IS NULL
  AND (state = 'held' OR state IN ('running', 'interrupted', 'failed')
       AND started_at > clock_timestamp() - make_interval(secs => %(max_age_s)s))
RETURNING run_id
