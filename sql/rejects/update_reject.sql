UPDATE carsync.rejects
SET record_id = %(record_id)s, column_name = %(column)s, reason = %(reason)s
WHERE run_id = %(run_id)s AND page = %(page)s AND ordinal = %(ordinal)s
  AND (record_id, column_name, reason)
      IS DISTINCT FROM (%(record_id)s, %(column)s, %(reason)s)
