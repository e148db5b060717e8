coalesce({value}::text, '') IN ('', '[]', '{{}}')
AND coalesce({column}::text, '') NOT IN ('', '[]', '{{}}')
