-- May cars move from one list to another? They do where any run found a car of one list on
-- another one instead; and they may while fewer than three merges have compared them.
SELECT EXISTS (
    SELECT FROM carsync.lists
    WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
      AND left_by_run IS NOT NULL)
    OR (
        SELECT count(*) < 3
        FROM carsync.runs
        WHERE schema_name = %(schema)s AND table_name = %(table)s AND source = %(source)s
          AND merged_at IS NOT NULL AND scope = 'whole' AND cardinality(lists) > 0
          AND replay_of IS NULL AND reverts IS NULL)
