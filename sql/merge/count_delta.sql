SELECT action, count(*) FROM {delta} GROUP BY action
