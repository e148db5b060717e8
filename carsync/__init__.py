"""carsync keeps a PostgreSQL table of vehicle listings in step with a REST API."""

__version__ = "0.1.0"
