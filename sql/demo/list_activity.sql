-- The ids of all cars of one source, and whether each is active.
SELECT id, is_active
FROM {target}
WHERE source_api = %(source)s
