-- Who approved, when, and what became of it: with the run's own summary. The transaction
-- wrote lines of the run's changes.
UPDATE carsync.runs
SET summary = coalesce(summary, '{{}}') || jsonb_build_object('approval', jsonb_build_object(
    'at', now(), 'by', session_user,
    'deactivated', %(deactivated)s::bigint, 'left_out', %(left_out)s::bigint)),
    change_xids = change_xids || pg_current_xact_id()::xid
WHERE run_id = %(run_id)s
