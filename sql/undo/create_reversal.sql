-- What the run changed, and why a row is left as it is (NULL: it can be taken back). A row is
-- as the run left it if the transaction that wrote the line wrote the row last (xmin), or
-- reverts did that took back all that was written since; and if what the line tells of it is
-- still so: a trigger may have written it once more. A line that is a copy has no version.
CREATE UNLOGGED TABLE {reversal} WITH (autovacuum_enabled = false) AS
WITH RECURSIVE lines AS MATERIALIZED (
    SELECT c.run_id, c.id, c.action, c.overwrote, c.before, c.after, r.reverts,
           CASE WHEN c.xmin = ANY (r.change_xids) THEN c.xmin END AS version
    FROM carsync.changes AS c
    JOIN carsync.runs AS r ON r.run_id = c.run_id
    WHERE c.run_id >= {reverted} AND r.schema_name = {schema} AND r.table_name = {table}
), changed AS MATERIALIZED (
    SELECT * FROM lines WHERE run_id = {reverted} AND action = ANY ({actions}::text[])
), present AS MATERIALIZED (
    SELECT c.id, t.xmin AS version, {told} AS told
    FROM changed AS c
    JOIN {target} AS t ON t.{key} = c.id::{id_type}
), standing AS (
    SELECT p.id, p.version
    FROM present AS p
    UNION ALL
    SELECT s.id, undone.overwrote
    FROM standing AS s
    JOIN lines AS l ON l.id = s.id AND l.version = s.version
    JOIN lines AS undone ON undone.id = l.id AND undone.run_id = l.reverts
), later AS (
    SELECT DISTINCT ON (id) id, run_id, action, version, reverts
    FROM lines
    WHERE run_id > {reverted}
    ORDER BY id, run_id DESC
)
SELECT row_number() OVER (ORDER BY c.action, c.id) AS place, c.id, c.action, c.before,
       p.version, false AS done,
       CASE
           WHEN c.action = 'deleted' AND p.id IS NULL THEN NULL
           WHEN c.action <> 'deleted' AND intact.id IS NOT NULL
               AND (c.after IS NULL OR p.told @> c.after) THEN NULL
           WHEN later.reverts = c.run_id
               AND (p.version = later.version OR later.action = 'deleted' AND p.id IS NULL)
               THEN 'was taken back by run ' || later.run_id
           WHEN later.run_id IS NOT NULL THEN 'was changed by run ' || later.run_id
           WHEN c.action = 'deleted' THEN 'is in the table again'
           WHEN p.id IS NULL THEN 'is in the table no more'
           ELSE 'was written since, by somebody else'
       END AS refused
FROM changed AS c
LEFT JOIN present AS p ON p.id = c.id
LEFT JOIN (
    SELECT DISTINCT s.id
    FROM standing AS s
    JOIN changed AS c ON c.id = s.id AND c.version = s.version
) AS intact ON intact.id = c.id
LEFT JOIN later ON later.id = c.id
