"""The figures of a run: counted, sampled, measured, and held against their targets."""
