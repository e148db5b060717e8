"""Unit tests of `carsync/postgres`."""
