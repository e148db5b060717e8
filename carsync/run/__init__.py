"""One run, from the lock to its record."""
