-- The open rejects of one page, whole.
SELECT run_id, page, ordinal, record_id, column_name, reason, original, original_kind, fetched_at
FROM carsync.rejects
WHERE run_id = %(run_id)s AND page = %(page)s AND settled_by IS NULL
ORDER BY ordinal
