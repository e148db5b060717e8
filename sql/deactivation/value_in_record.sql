({column}::jsonb #>> {path}::text[])
