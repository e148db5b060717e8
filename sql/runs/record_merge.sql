-- The run's lines were all written in this transaction, some perhaps in its subtransactions.
UPDATE carsync.runs
SET state = %(state)s, counts = %(counts)s, merged_at = now(), is_watermark = %(is_watermark)s,
    read_all = %(read_all)s,
    changes_origin = %(origin)s,
    change_xids = ARRAY(SELECT DISTINCT xmin FROM carsync.changes WHERE run_id = %(run_id)s)
WHERE run_id = %(run_id)s
