-- Cars that are back, or not active any more, are absent no longer: those that the run speaks of.
DELETE FROM carsync.absences AS a
WHERE a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
  AND (EXISTS (SELECT FROM {seen} AS s WHERE s.id::text = a.id)
       OR EXISTS (SELECT FROM {delta} AS d WHERE d.action = 'gone' AND d.id::text = a.id))
