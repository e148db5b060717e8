"""Unit tests of `carsync/engine/local`."""
