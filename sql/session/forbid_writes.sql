-- Let no further transaction of this session write.
SELECT set_config('default_transaction_read_only', 'on', false)
