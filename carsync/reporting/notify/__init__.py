"""How other programs learn of a run: systemd, Prometheus, a web hook."""
