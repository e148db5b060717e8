INSERT INTO carsync.rejects (run_id, page, ordinal, record_id, column_name, reason, original)
VALUES %s
ON CONFLICT (run_id, page, ordinal) DO UPDATE
SET record_id = excluded.record_id, column_name = excluded.column_name,
    reason = excluded.reason, original = excluded.original,
    rejected_at = excluded.rejected_at
