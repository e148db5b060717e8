SELECT page, rows, rejects, records, reported_pages, reported_records
FROM {ledger}
WHERE page = ANY (%(pages)s)
