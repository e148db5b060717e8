-- Absent cars of the lists that were read, longest unseen first.
SELECT absent.id
FROM ({absent}) AS absent
LEFT JOIN ({ranked}) AS ranked ON ranked.id = absent.id::text
LEFT JOIN carsync.absences AS a
    ON a.schema_name = %(schema)s AND a.table_name = %(table)s
    AND a.source = %(source)s AND a.id = absent.id::text
WHERE coalesce(ranked.rank, %(unknown)s) < %(unread)s
ORDER BY a.recorded_at NULLS LAST, absent.id
LIMIT %(limit)s
