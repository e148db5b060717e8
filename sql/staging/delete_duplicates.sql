-- Of rows with the same id the one from the highest page stays, and on that page the last; where
-- other runs came in between, of the pages that were read after the last of them.
-- Only the narrow rows of repeated ids are sorted.
WITH repeated AS (
    SELECT id FROM {seen} GROUP BY id HAVING count(*) > 1
), ranked AS (
    SELECT s.tableoid, s.ctid, row_number() OVER (PARTITION BY s.id ORDER BY l.latest_run DESC, s.page DESC, s.ordinal DESC) AS place
    FROM {seen} AS s
    JOIN repeated ON repeated.id = s.id
    JOIN {ledger} AS l ON l.page = s.page
)
DELETE FROM {seen} AS s
USING ranked
WHERE s.tableoid = ranked.tableoid AND s.ctid = ranked.ctid AND ranked.place > 1
