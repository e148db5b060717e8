-- The newest tombstone of each car, or of each of its lots. The clocks of two of the API's servers
-- differ a little; but a tombstone from further in the future is of another zone, and says nothing.
SELECT DISTINCT ON ({each}) ts.*, ts."carsync removed_at" AS removed_at
FROM {tombstones} AS ts
JOIN {tombstone_pages} AS l ON l.page = ts.page
WHERE ts."carsync removed_at" <= l.fetched_at + {offset} + {slack}
ORDER BY {each}, ts."carsync removed_at" DESC, ts.page DESC, ts.ordinal DESC
