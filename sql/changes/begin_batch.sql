-- All lines that this transaction writes have higher numbers.
SELECT nextval('carsync.change_lines')
