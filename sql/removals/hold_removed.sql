-- More cars would go than may: all of them are held.
UPDATE {delta} SET action = 'held' WHERE action = 'removed'
