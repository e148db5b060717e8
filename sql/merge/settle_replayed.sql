-- The rejects that a replay staged are settled; the replay keeps their page and ordinal.
UPDATE carsync.rejects AS j
SET settled_by = %(run_id)s
FROM {seen} AS s
WHERE j.run_id = %(replay_of)s AND j.page = s.page AND j.ordinal = s.ordinal
