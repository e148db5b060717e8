SELECT page, rows, rejects, records, reported_pages, reported_records, next_token
FROM {ledger}
ORDER BY page
