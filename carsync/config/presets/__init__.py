"""Mapping presets: one YAML file a feed, shipped inside the wheel."""
