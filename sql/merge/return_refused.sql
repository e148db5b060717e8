-- What PostgreSQL refused of a replay stays a reject of the run that it replays, with the
-- new reason.
WITH refused AS (
    DELETE FROM carsync.rejects
    WHERE run_id = %(run_id)s
    RETURNING page, ordinal, column_name, reason
)
UPDATE carsync.rejects AS j
SET column_name = refused.column_name, reason = refused.reason
FROM refused
WHERE j.run_id = %(replay_of)s AND j.page = refused.page AND j.ordinal = refused.ordinal
