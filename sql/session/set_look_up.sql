-- For this transaction: few rows of a large table may be looked up by its index.
SELECT set_config('enable_nestloop', 'on', true)
