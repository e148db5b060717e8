-- The run speaks of this car, although it did not read the feed.
{is_expected} AND {record_id}::text IN (SELECT pg_catalog.unnest({ids}::text[]))
