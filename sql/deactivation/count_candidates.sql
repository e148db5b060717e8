-- The source's active cars, the absent ones among them, and those that tombstones prove to be gone.
SELECT ({active}) AS active,
       (SELECT count(*) FROM ({absent}) AS absent WHERE {is_any_absent}) AS candidates,
       (SELECT count(*) FROM ({removed}) AS removed) AS removed
