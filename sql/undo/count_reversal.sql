-- How many changes there are to take back, and how many were taken back before.
SELECT count(*) AS changes, count(*) FILTER (WHERE refused LIKE 'was taken back by run %%') AS before
FROM {reversal}
