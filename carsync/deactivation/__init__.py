"""May an absent car be deactivated? Policy, proof by id, approval."""
