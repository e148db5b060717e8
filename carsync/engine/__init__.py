"""Who carries the work out."""
