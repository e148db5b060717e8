"""Views of runs, gathered from a real database."""
