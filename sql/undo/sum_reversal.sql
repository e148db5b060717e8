SELECT action, count(*) FROM {reversal} WHERE done GROUP BY action
