-- Some cars of the target, those with the next higher ids, as they are now. A row is one line, and
-- a column of type json may hold what jsonb refuses (`\u0000`); between its values there may be
-- line breaks, in its strings there are none.
SELECT t.{key}::text, translate(pg_catalog.row_to_json(t)::text, E'\n\r', '  ')
FROM {target} AS t
WHERE t.{key} IS NOT NULL AND (%(after)s::text IS NULL OR t.{key} > %(after)s::{id_type})
ORDER BY t.{key}
LIMIT %(limit)s
