"""The configuration: YAML text and environment in, one frozen `Config` out."""
