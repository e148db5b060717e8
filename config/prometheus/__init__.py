"""Alert rules for Prometheus, shipped inside the wheel."""
