"""`python -m carsync.cli.reference [FOLDER]`: write the reference's files (default: docs)."""

from __future__ import annotations

import sys
from pathlib import Path

from carsync.cli.reference.documents import documents


def main() -> None:
    """Write every file that differs from what the code gives, and name it."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for name, text in documents(folder).items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
