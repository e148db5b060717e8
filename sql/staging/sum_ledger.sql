-- How many records the staged pages held, and how many of them were rejected.
SELECT coalesce(sum(rejects), 0)::bigint AS rejects, coalesce(sum(records), 0)::bigint AS records
FROM {ledger}
