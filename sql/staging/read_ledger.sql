SELECT page, rows, rejects, records, reported_pages, reported_records, next_token, has_more
FROM {ledger}
WHERE page > %(after)s
ORDER BY page
LIMIT %(limit)s
