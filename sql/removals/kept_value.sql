coalesce(n.{column}, t.{column})
