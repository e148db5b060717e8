-- Stage the records whose row of the target is active and has their hash, without their values.
-- The rows are looked up one by one: a batch must never read the whole table.
SELECT pg_catalog.set_config(name, setting, true)
FROM (VALUES
    ('enable_nestloop', 'on'),
    ('enable_hashjoin', 'off'),
    ('enable_mergejoin', 'off'),
    ('enable_seqscan', 'off'),
    ('jit', 'off')
) AS wanted(name, setting);
WITH unchanged AS (
    INSERT INTO {seen} (page, ordinal, id, data_hash)
    SELECT r.page, r.ordinal, r.id::{staged_type}, r.data_hash
    FROM ROWS FROM (
        pg_catalog.unnest(%(pages)s::integer[]), pg_catalog.unnest(%(ordinals)s::integer[]),
        pg_catalog.unnest(%(ids)s::text[]), pg_catalog.unnest(%(hashes)s::text[])
    ) AS r(page, ordinal, id, data_hash)
    JOIN {target} AS t ON t.{key} OPERATOR(pg_catalog.=) r.id::{id_type}
    WHERE t.data_hash::text OPERATOR(pg_catalog.=) r.data_hash AND t.is_active
      AND t.source_api::text OPERATOR(pg_catalog.=) {source}
    RETURNING page, ordinal
)
SELECT page, pg_catalog.array_agg(ordinal) FROM unchanged GROUP BY page
