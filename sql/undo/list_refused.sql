-- Rows that are not taken back, and why, those aside that were taken back before.
SELECT id, action, refused FROM {reversal}
WHERE refused IS NOT NULL AND refused NOT LIKE 'was taken back by run %%'
ORDER BY action, id
