"""What outlives a process, the target table aside: run records and the checkpoint file."""
