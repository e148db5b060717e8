-- Insert anew, whole, the cars that the run, itself a revert, deleted.
WITH written AS (
    INSERT INTO {target} AS t ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {values}
    FROM {reversal} AS v
    WHERE v.action = 'deleted'
      AND v.refused IS NULL AND v.place >= %(first)s AND v.place < %(end)s
    RETURNING t.{key}::text AS id, 'inserted' AS action,
        NULL AS overwrote, NULL AS before, NULL AS after
), recorded AS ({record})
UPDATE {reversal} AS v SET done = true FROM written WHERE v.id = written.id
