-- Delete the cars that the run inserted; the whole row is recorded.
WITH gone AS (
    DELETE FROM {target} AS t
    USING {reversal} AS v
    WHERE v.id = t.id AND v.action = 'inserted'
      AND v.refused IS NULL AND v.place >= %(first)s AND v.place < %(end)s
    RETURNING v.id, v.version AS overwrote, {row} AS before
), recorded AS (
    INSERT INTO carsync.changes (run_id, overwrote, id, action, before)
    SELECT {run_id}, overwrote, id, 'deleted', before FROM gone WHERE {records}
)
UPDATE {reversal} AS v SET done = true FROM gone WHERE v.id = gone.id
