t.{column}::text IS DISTINCT FROM s.{column}::text
