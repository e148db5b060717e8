"""What other programs are told: systemd, Prometheus, a web hook."""
