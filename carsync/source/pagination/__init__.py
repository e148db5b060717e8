"""How a feed is cut into pages, and which of them are still to be read."""
