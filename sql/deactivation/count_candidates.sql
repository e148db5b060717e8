-- The source's active cars, and the absent ones among them.
SELECT (SELECT count(*) FROM {target} WHERE source_api = {source} AND is_active) AS active,
       (SELECT count(*) FROM ({absent}) AS absent) AS candidates
