-- For this transaction: whoever wants the table queues behind a statement that waits for its
-- exclusive lock, readers too. So that one gives up within a second, and is tried again.
SELECT set_config('lock_timeout', '1000', true)
