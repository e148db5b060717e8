"""Unit tests of `carsync/engine`."""
