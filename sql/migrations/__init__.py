"""Forward-only schema migrations, applied in the order of their names."""
