UPDATE {reversal} SET refused = %(reason)s WHERE place = %(place)s AND refused IS NULL
