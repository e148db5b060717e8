"""Servers that carsync's authors did not write, serving 1,200 cars each, for a long test."""
