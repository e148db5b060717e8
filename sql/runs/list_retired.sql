-- Tables and sources that no run has read or written for so long.
SELECT schema_name, table_name, source
FROM carsync.runs
GROUP BY schema_name, table_name, source
HAVING max(greatest(started_at, resumed_at)) < clock_timestamp() - make_interval(days => %(days)s)
ORDER BY schema_name, table_name, source
