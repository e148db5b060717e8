"""What a run tells while it is going on: log lines, live view, JSON lines."""
