-- How many row versions were written into the target since it exists; true once the
-- sessions that wrote them have ended (they report at their end at the latest).
SELECT n_tup_ins, n_tup_upd, n_tup_del
FROM pg_catalog.pg_stat_user_tables
WHERE relid = pg_catalog.to_regclass(%(target)s)
