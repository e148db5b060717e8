-- What the run changed, and why a row is left as it is (NULL: it can be taken back). A row is
-- as the run left it if the transaction that wrote the line wrote the row last (xmin), and
-- what the line tells of it is still so: a trigger may have written it once more.
CREATE UNLOGGED TABLE {reversal} WITH (autovacuum_enabled = false) AS
SELECT row_number() OVER (ORDER BY c.action, c.id) AS place, c.id, c.action, c.before,
       false AS done,
       CASE
           WHEN c.action = 'deleted' AND t.id IS NULL THEN NULL
           WHEN c.action <> 'deleted' AND t.version = c.version
               AND (c.after IS NULL OR t.told @> c.after) THEN NULL
           WHEN later.reverts = c.run_id
               AND (t.version = later.version OR later.action = 'deleted' AND t.id IS NULL)
               THEN 'was taken back by run ' || later.run_id
           WHEN later.run_id IS NOT NULL THEN 'was changed by run ' || later.run_id
           WHEN c.action = 'deleted' THEN 'is in the table again'
           WHEN t.id IS NULL THEN 'is in the table no more'
           ELSE 'was written since, by somebody else'
       END AS refused
FROM (
    SELECT run_id, id, action, before, after, xmin AS version
    FROM carsync.changes
    WHERE run_id = {reverted} AND action = ANY ({actions})
) AS c
LEFT JOIN (
    SELECT t.id::text AS id, t.xmin AS version, {told} AS told FROM {target} AS t
) AS t ON t.id = c.id
LEFT JOIN (
    SELECT DISTINCT ON (c.id) c.id, c.run_id, c.action, c.xmin AS version, r.reverts
    FROM carsync.changes AS c
    JOIN carsync.runs AS r ON r.run_id = c.run_id
    WHERE c.run_id > {reverted} AND r.schema_name = {schema} AND r.table_name = {table}
    ORDER BY c.id, c.run_id DESC
) AS later ON later.id = c.id
