-- Be told of each transaction that changed a table: `change_log.end_batch` notifies.
LISTEN carsync
