-- Who approved, when, and what became of it: with the run's own summary. Lines of the run's
-- changes are new whose xmin is this transaction's, or that of one of its subtransactions,
-- which come after it.
UPDATE carsync.runs
SET summary = coalesce(summary, '{{}}') || jsonb_build_object('approval', jsonb_build_object(
    'at', now(), 'by', session_user,
    'deactivated', %(deactivated)s::bigint, 'left_out', %(left_out)s::bigint)),
    change_xids = change_xids || ARRAY(
        SELECT DISTINCT xmin FROM carsync.changes WHERE run_id = %(run_id)s AND age(xmin) <= 0)
WHERE run_id = %(run_id)s
