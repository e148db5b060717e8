-- Runs that replay a run's rejects, or take it back. Read by name, for a table of before
-- the column was there.
SELECT run_id, replay_of IS NOT DISTINCT FROM %(run_id)s AS replays
FROM carsync.runs AS r
WHERE replay_of = %(run_id)s
   OR (to_jsonb(r) ->> 'reverts')::bigint = %(run_id)s
ORDER BY run_id
