-- The fields that most records of the feed's first page have.
SELECT notes -> 'fields' FROM {ledger} WHERE notes -> 'fields' IS NOT NULL ORDER BY page LIMIT 1
