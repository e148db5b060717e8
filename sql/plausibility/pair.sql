(t.{column}::text, s.{column}::text)
