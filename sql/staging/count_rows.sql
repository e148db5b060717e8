-- Staged rows: what a crash of the server has emptied shows here.
SELECT count(*) FROM {seen}
