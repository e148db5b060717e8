"""Programs that the documents show, taken out of their pages to be run as a reader would."""

from __future__ import annotations

import re

from tests.support.folders import ROOT


def shown(page: str, fence: str, word: str) -> str:
    """Return the block of docs/`page` that is fenced as `fence` and holds `word`: one alone."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{fence}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (found,) = (block for block in blocks if word in block)
    return str(found)
