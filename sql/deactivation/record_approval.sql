-- Who approved, when, and what became of it: with the run's own summary.
UPDATE carsync.runs
SET summary = coalesce(summary, '{{}}') || jsonb_build_object('approval', jsonb_build_object(
    'at', now(), 'by', session_user,
    'deactivated', %(deactivated)s::bigint, 'left_out', %(left_out)s::bigint))
WHERE run_id = %(run_id)s
