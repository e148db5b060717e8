-- Active cars that no run holds or missed, as controls for requests by id: those whose ids
-- have the shape.
SELECT t.{key}::text
FROM {target} AS t
WHERE t.source_api = %(source)s AND t.is_active AND t.{key}::text ~ %(pattern)s
  AND length(t.{key}::text) BETWEEN %(shortest)s AND %(longest)s
  AND NOT EXISTS (
      SELECT FROM carsync.absences AS a
      WHERE a.id = t.{key}::text AND a.schema_name = %(schema)s AND a.table_name = %(table)s
        AND a.source = %(source)s)
ORDER BY random()
LIMIT %(limit)s
