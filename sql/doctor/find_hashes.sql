-- Source and hash of the cars of a page that the table has; both may be missing columns.
SELECT t.id, to_jsonb(t) ->> 'source_api' AS source, to_jsonb(t) ->> 'data_hash' AS data_hash
FROM {target} AS t
WHERE t.id = ANY (%(ids)s)
