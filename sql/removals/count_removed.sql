-- The source's active cars, and those of them that a tombstone proves to be gone.
SELECT (SELECT count(*) FROM {target} WHERE source_api = {source} AND is_active),
       (SELECT count(*) FROM ({removed}) AS removed)
