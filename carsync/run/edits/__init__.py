"""What is done between runs, by hand: over the lock and the tables of a run, without its plan."""
