"""How hard the fault tests try: a seeded sample by default, everything with `bin/test --long`."""

from __future__ import annotations

is_long = False
"""Set by pytest's option `--long`, before any test is collected."""


def trials(sample: int, everything: int) -> int:
    """Return how many trials to run: `sample` of them, or `everything` in long mode."""
    return everything if is_long else sample
