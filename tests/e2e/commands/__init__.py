"""Tests of carsync."""
