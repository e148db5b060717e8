"""SQL statements, one per file, loaded by name from inside the wheel."""
