"""How requests prove who asks: one module a kind."""
