-- Tombstones from the future, which `newest` leaves out, and the one that lies furthest.
SELECT count(*), (array_agg(ts.id::text ORDER BY ts."carsync removed_at" DESC))[1],
       max(ts."carsync removed_at")
FROM {tombstones} AS ts
JOIN {tombstone_pages} AS l ON l.page = ts.page
WHERE ts."carsync removed_at" > l.fetched_at + {offset} + {slack}
