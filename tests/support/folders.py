"""Where the repository's files lie."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
BIN = ROOT / "bin"
GOLDEN_FILE = TESTS / "data" / "auction_records_md5.json"
"""120 records of the preset's feed, each with the row and the MD5 that deployed systems hold."""


def poison(folder: Path) -> Path:
    """Fill a folder with modules named as Python's and ours; each tells a file when it is run."""
    told = folder / "was-imported"
    names = sys.stdlib_module_names | {"carsync", "click", "msgspec", "psycopg2", "requests"}
    for name in names:
        (folder / f"{name}.py").write_text(f"open({str(told)!r}, 'a').write('{name} ')\n")
    return told
