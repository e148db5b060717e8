"""The demo's parts: a simulated auction feed and an embedded PostgreSQL."""
