-- Let the index know the lines that were written last, before autovacuum does.
SELECT brin_summarize_new_values('carsync.changes_by_line')
