"""systemd units, shipped with the wheel."""
