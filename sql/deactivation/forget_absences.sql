-- Cars that are back, or not active any more, are absent no longer.
DELETE FROM carsync.absences AS a
WHERE a.schema_name = %(schema)s AND a.table_name = %(table)s AND a.source = %(source)s
  AND NOT EXISTS (
      SELECT FROM {delta} AS d
      WHERE d.action IN ('absent', 'sure', 'held', 'unread', 'kept') AND d.id::text = a.id)
