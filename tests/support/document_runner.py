"""The documents' commands, taken out of their pages and run as a reader would type them.

A page's ```sh blocks are one session of bash, from top to bottom, that ends at the first
failure. Placeholders stand for the test's own API and database. Lines that a test cannot
type here (they install packages, or start this suite) are held by another test, which
`ELSEWHERE` names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.folders import ROOT

ELSEWHERE = {
    "buildah ": "tests/integration/packaging/test_kubernetes_files.py",
    "kubectl ": "tests/integration/packaging/test_kubernetes_files.py",
    "bin/demo": "tests/e2e/commands/test_demo.py",
    "bin/test": "bin/test",
    "python3 -m venv ": "tests/integration/packaging/test_packaging.py",
    "~/carsync/bin/pip install ": "tests/unit/test_requirements.py",
    "export PATH=~/carsync/bin:$PATH": "tests/integration/packaging/test_packaging.py",
    "sudo /opt/carsync/bin/carsync-feed ": "tests/integration/packaging/test_systemd_files.py",
    "systemctl ": "test_documents.py::test_what_systemd_is_asked_it_understands",
    "sudo systemctl ": "test_documents.py::test_what_systemd_is_asked_it_understands",
    "journalctl ": "test_documents.py::test_what_systemd_is_asked_it_understands",
    "sudo systemd-creds ": "test_documents.py::test_what_systemd_is_asked_it_understands",
}
"""The start of a line that is not run → what holds it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A command of a page: line number in the page, and its text without its comment."""

    number: int
    text: str


def pages() -> list[Path]:
    """Return the documents for users that hold commands; generated ones are held elsewhere."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [page for page in found if commands(page)]


def commands(page: Path) -> list[Line]:
    """Return the lines of the page's ```sh blocks, indented blocks too, comments cut off."""
    found = []
    fence = ""
    for number, raw in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if line.startswith("```"):
            fence = "" if fence else line
        elif fence == "```sh" and (text := re.sub(r"(^|\s+)#\s.*$", "", line)):
            found.append(Line(number, text))
    return found


def is_held_elsewhere(line: Line) -> bool:
    """Say whether `ELSEWHERE` names what holds this line."""
    return line.text.startswith(tuple(ELSEWHERE))


def script(page: Path, placeholders: Mapping[str, str]) -> str:
    """Return the bash script of the page's commands; each is shown before it runs.

    The lines of one pipeline stay together: what is shown between them would swallow its data.
    """
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for line in commands(page):
        if is_held_elsewhere(line):
            continue
        text = line.text
        for placeholder, value in placeholders.items():
            text = text.replace(placeholder, value)
        if not lines[-1].endswith("|"):
            shown = f"── {page.name}:{line.number}: {line.text}"
            lines.append(f"printf '%s\\n' {_quoted(shown)}")
        lines.append(text)
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
