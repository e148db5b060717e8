"""Templates of pages, shipped inside the wheel."""

from __future__ import annotations

from importlib import resources


def read_template(name: str) -> str:
    """Return the text of the file `name` of this package."""
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
