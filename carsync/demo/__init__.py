"""The demo: a simulated auction feed, an embedded PostgreSQL and a script that uses both."""
