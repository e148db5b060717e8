-- Delivered at the commit. A queue that nobody empties would fail the commit once it is full.
SELECT pg_notify('carsync', %(payload)s) WHERE pg_notification_queue_usage() < 0.5
