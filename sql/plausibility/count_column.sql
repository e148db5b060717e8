count(*) FILTER (WHERE {is_changed}), count(*) FILTER (WHERE {was_set} AND NOT {is_set})
