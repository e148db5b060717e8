-- The run should have seen this car.
t.source_api::text = {source} AND t.is_active AND {untouched_since}
