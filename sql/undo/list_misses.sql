-- Columns that are not as they were although their row was taken back: triggers of the table
-- wrote them.
SELECT k.name, count(*)
FROM {reversal} AS v
JOIN {target} AS t ON t.{key} = v.id::{id_type}
CROSS JOIN LATERAL jsonb_each_text(v.before) AS k(name, value)
WHERE v.done AND {told} ->> k.name IS DISTINCT FROM k.value
GROUP BY k.name
ORDER BY k.name
