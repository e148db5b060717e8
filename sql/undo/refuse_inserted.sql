UPDATE {reversal} SET refused = %(reason)s WHERE action = 'inserted' AND refused IS NULL
