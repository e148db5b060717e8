"""carsync keeps a PostgreSQL table of vehicle listings in step with a REST API."""
