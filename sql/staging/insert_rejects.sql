INSERT INTO carsync.rejects
    (run_id, page, ordinal, record_id, column_name, reason, original, original_kind, fetched_at)
SELECT {run_id}, j.page, ordinal, record_id, column_name, reason, original, original_kind,
       l.fetched_at
FROM (VALUES %s) AS j
    (page, ordinal, record_id, column_name, reason, original, original_kind)
JOIN {ledger} AS l ON l.page = j.page
ON CONFLICT (run_id, page, ordinal) DO UPDATE
SET record_id = excluded.record_id, column_name = excluded.column_name,
    reason = excluded.reason, original = excluded.original,
    original_kind = excluded.original_kind, fetched_at = excluded.fetched_at,
    rejected_at = excluded.rejected_at, settled_by = NULL
