"""Where the repository's files lie."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
BIN = ROOT / "bin"
GOLDEN_FILE = TESTS / "data" / "auction_records_md5.json"
"""120 records of the preset's feed, each with the row and the MD5 that deployed systems hold."""
