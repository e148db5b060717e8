"""The progress of a run while it is going on: log lines, live view, JSON lines."""
