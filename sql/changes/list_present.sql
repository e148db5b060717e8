-- Some cars of the target, those with the next higher ids, as they are now.
SELECT t.{key}::text, pg_catalog.to_jsonb(t)::text
FROM {target} AS t
WHERE t.{key} IS NOT NULL AND (%(after)s::text IS NULL OR t.{key} > %(after)s::{id_type})
ORDER BY t.{key}
LIMIT %(limit)s
