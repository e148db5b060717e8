"""Mapping presets: one YAML file a feed."""
