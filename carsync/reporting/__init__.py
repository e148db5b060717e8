"""What operators and other programs learn of a run, during the run and after its end."""
