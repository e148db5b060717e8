SELECT coalesce(min(fetched_at), clock_timestamp()) FROM {ledger}
