"""The API: one request, how pages are walked, how fast."""
