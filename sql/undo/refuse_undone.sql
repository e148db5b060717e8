-- Rows that a trigger of the table kept as they are.
UPDATE {reversal} SET refused = 'a trigger of the table kept it as it is'
WHERE refused IS NULL AND NOT done
