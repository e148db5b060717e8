-- Some lines of a batch, in the order in which they were written. They are found by the index of
-- lines: by that of runs, each window would read the whole batch (so `+ 0`).
SELECT c.line, c.id, c.action, {before}::text, {after}::text, {row}
FROM carsync.changes AS c
WHERE c.run_id + 0 = %(run_id)s AND c.line > %(after)s AND c.line <= %(until)s
ORDER BY c.line
