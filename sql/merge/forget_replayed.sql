-- A replayed car was seen: it is absent no longer. Nothing is known of any other.
DELETE FROM carsync.absences AS a
WHERE a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
  AND EXISTS (SELECT FROM {seen} AS s WHERE s.id::text = a.id)
