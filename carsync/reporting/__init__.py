"""Everything that an operator or a machine is told, during a run and after it."""
