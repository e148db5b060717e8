-- Give rows their old values back, and record that as the reverting run's doing.
WITH written AS (
    UPDATE {target} AS t
    SET ({restored}) = ROW({restored_values})
    FROM (
        SELECT v.id, v.action, v.before, v.version, {was}
        FROM {target} AS t
        JOIN {reversal} AS v ON t.{key} OPERATOR(pg_catalog.=) v.id::{id_type}
        WHERE v.action IN ('updated', 'reactivated', 'deactivated')
          AND v.refused IS NULL AND v.place >= %(first)s AND v.place < %(end)s
        FOR NO KEY UPDATE OF t
    ) AS was("carsync id", "carsync action", "carsync before", "carsync version", {was_names})
    WHERE t.{key} OPERATOR(pg_catalog.=) was."carsync id"::{id_type}
    RETURNING was."carsync id" AS id,
        CASE was."carsync action" WHEN 'reactivated' THEN 'deactivated'
                                  WHEN 'deactivated' THEN 'reactivated'
                                  ELSE 'updated' END AS action,
        was."carsync version" AS overwrote, {before} AS before, {after} AS after
), recorded AS ({record})
UPDATE {reversal} AS v SET done = true FROM written WHERE v.id = written.id
