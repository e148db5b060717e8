count(*) FILTER (WHERE {is_changed}), count(*) FILTER (WHERE {was_set} AND NOT {is_set}),
min(ARRAY[s.id::text, left(t.{column}::text, 60)]) FILTER (WHERE {was_set} AND NOT {is_set})
