"""What changes in the simulated feed as time goes by, and how its API tells of it."""
