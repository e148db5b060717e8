-- The source's active cars, the absent ones among them, and those that tombstones prove to be gone.
SELECT (SELECT count(*) FROM {target} WHERE source_api = {source} AND is_active) AS active,
       (SELECT count(*) FROM ({absent}) AS absent) AS candidates,
       (SELECT count(*) FROM ({removed}) AS removed) AS removed
