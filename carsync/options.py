"""What an operator asks of one run beside the configuration. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["whole", "sample", "dry"]
"""The whole feed; only its first pages; or read, merged and rolled back."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """`fresh` forgets an unfinished run instead of resuming it.

    `dry_run` does all of it, rolls the merge back and leaves nothing behind. `max_pages`
    reads only so many pages, and deactivates nobody; None: the whole feed.
    """

    fresh: bool = False
    dry_run: bool = False
    max_pages: int | None = None

    @property
    def scope(self) -> Scope:
        """How much of the feed the run reads, and whether anything stays of it.

        >>> RunOptions(dry_run=True, max_pages=3).scope
        'dry'
        """
        if self.dry_run:
            return "dry"
        return "whole" if self.max_pages is None else "sample"


ORDINARY = RunOptions()
"""A run of the whole feed, for real, that resumes an unfinished one."""
