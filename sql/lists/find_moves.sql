-- Did any run find a car of one list on another one instead?
SELECT EXISTS (
    SELECT FROM carsync.lists
    WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
      AND left_by_run IS NOT NULL)
