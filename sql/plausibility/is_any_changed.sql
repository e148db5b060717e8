(SELECT bool_or(a IS DISTINCT FROM b) FROM (VALUES {pairs}) AS pair (a, b))
