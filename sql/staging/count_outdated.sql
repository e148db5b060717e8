-- Records that were unchanged when they were staged, and those among them whose row is not so any
-- more, although no later run has read the car: it was reverted, restored, deleted or edited.
SELECT count(*), count(*) FILTER (WHERE t.{key} IS NULL)
FROM ONLY {seen} AS s
JOIN {ledger} AS l ON l.page = s.page
LEFT JOIN {target} AS t
    ON t.{key} = s.id AND t.data_hash = s.data_hash AND t.is_active AND t.source_api = {source}
WHERE {is_newest}
