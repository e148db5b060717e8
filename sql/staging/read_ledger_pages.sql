SELECT page, rows, rejects, records, reported_pages, reported_records, next_token
FROM {ledger}
WHERE page = ANY (%(pages)s)
