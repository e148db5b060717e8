-- Cars by id, with the columns asked for.
SELECT {columns}
FROM {target}
WHERE id = ANY (%(ids)s::text[])
