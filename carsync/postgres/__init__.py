"""PostgreSQL's plumbing: nothing here knows what a car, a page or a run is."""
