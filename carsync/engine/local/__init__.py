"""The engine of one machine: fetcher and writer processes and the gate they share."""
