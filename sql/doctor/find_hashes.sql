-- Source and hash of the cars of a page that the table has; both may be missing columns, or of
-- a type that fills up with blanks.
SELECT t.{key}::text,
       rtrim(to_jsonb(t) ->> 'source_api') AS source,
       rtrim(to_jsonb(t) ->> 'data_hash') AS data_hash
FROM {target} AS t
WHERE t.{key} = ANY (%(ids)s::{id_type}[])
