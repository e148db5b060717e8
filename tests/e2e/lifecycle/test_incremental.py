"""Incremental runs: what changed since the last run, and nothing of any other car."""
