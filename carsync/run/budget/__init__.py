"""What a run's requests cost: counted, reserved of `limits.budget`, and foretold."""
