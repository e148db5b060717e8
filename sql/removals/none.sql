SELECT t.{key} AS id FROM {target} AS t WHERE false
