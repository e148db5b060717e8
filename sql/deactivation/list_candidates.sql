-- Absent cars, longest unseen first.
SELECT absent.id
FROM ({absent}) AS absent
LEFT JOIN carsync.absences AS a
    ON a.schema_name = %(schema)s AND a.table_name = %(table)s
    AND a.source = %(source)s AND a.id = absent.id
ORDER BY a.recorded_at NULLS LAST, absent.id
LIMIT %(limit)s
