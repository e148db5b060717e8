was.{column} IS DISTINCT FROM t.{column}
