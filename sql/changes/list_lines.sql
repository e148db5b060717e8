-- Some lines of a batch, in the order in which they were written.
SELECT c.line, c.id, c.action, {before}::text, {after}::text, {row}
FROM carsync.changes AS c
WHERE c.run_id = %(run_id)s
  AND c.line > %(after)s AND c.line <= %(until)s
ORDER BY c.line
