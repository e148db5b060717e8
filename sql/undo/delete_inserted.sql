-- Delete the cars that the run inserted; the whole row is recorded.
WITH written AS (
    DELETE FROM {target} AS t
    USING {reversal} AS v
    WHERE t.{key} OPERATOR(pg_catalog.=) v.id::{id_type} AND v.action = 'inserted'
      AND v.refused IS NULL AND v.place >= %(first)s AND v.place < %(end)s
    RETURNING v.id, 'deleted' AS action, v.version AS overwrote, {row} AS before, NULL AS after
), recorded AS ({record})
UPDATE {reversal} AS v SET done = true FROM written WHERE v.id = written.id
