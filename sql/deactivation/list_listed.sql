-- Active cars that no run holds or missed, as controls for requests by id, and the values by which
-- they are asked for: those whose values have the shape.
SELECT t.{key}::text, ARRAY[{values}]
FROM {target} AS t
WHERE t.source_api = %(source)s AND t.is_active AND {value} ~ %(pattern)s
  AND length({value}) BETWEEN %(shortest)s AND %(longest)s AND {beside} = %(beside)s
  AND NOT EXISTS (
      SELECT FROM carsync.absences AS a
      WHERE a.id = t.{key}::text AND a.schema_name = %(schema)s AND a.table_name = %(table)s
        AND a.source = %(source)s)
ORDER BY random()
LIMIT %(limit)s
