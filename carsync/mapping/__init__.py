"""From bytes to rows, rejects and hashes; pure."""
