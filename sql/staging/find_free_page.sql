-- The number below all pages for records that no page lists.
SELECT least(min(page), 0) - 1 FROM {ledger}
