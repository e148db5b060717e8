"""The demo's output: lines of at most 80 columns, checks with their marks."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable

from carsync import formatting
from carsync.demo.checker import CheckResult
from carsync.formatting import Tone

WIDTH = 80
_CUT_BLOCKS = ("acceptance", "next: nothing to do")


class Console:
    """Prints the demo in lines of at most 80 columns, and counts the checks."""

    def __init__(self, *, color: bool, encoding: str) -> None:
        self._color = color
        self._encoding = encoding
        self.passed = 0
        self.failed = 0

    def say(self, text: str = "", tone: Tone | None = None) -> None:
        """Write a line, or several."""
        lines = formatting.fit(text, self._encoding).split("\n")
        if tone:
            lines = [formatting.paint(line, tone, self._color) for line in lines]
        sys.stdout.write(f"{formatting.display(lines)}\n")
        sys.stdout.flush()

    def chapter(self, name: str, text: str) -> None:
        """Begin a chapter of the demo."""
        self.say()
        dash = self._fitting("─", "-")
        self.say(f"{dash * 2} {name} ".ljust(WIDTH, dash), "strong")
        self.say(textwrap.fill(text, WIDTH))

    def command(self, line: str) -> None:
        """Show the command that is typed next."""
        self.say()
        self.say(f"$ {line}", "strong")

    def judge(self, results: Iterable[CheckResult]) -> None:
        """Show each result as it comes, on a marked line."""
        self.say()
        for result in results:
            self.passed += result.passed
            self.failed += not result.passed
            mark = self._fitting("✓", "ok") if result.passed else self._fitting("✗", "FAILED")
            mark = formatting.paint(mark, "good" if result.passed else "bad", self._color)
            self.say(f"  {mark} {result.subject:<8}{result.text}")

    def _fitting(self, mark: str, word: str) -> str:
        """Return `mark`, or `word` where the output cannot show it."""
        return mark if formatting.fit(mark, self._encoding) == mark else word


def extract(summary: str) -> str:
    r"""Cut a sync's summary down to what differs from run to run.

    >>> print(extract("run 2\n\n  time  1 s\n  rate  9/s\n\n  seen  5\n\nnext: nothing to do"))
    run 2
    <BLANKLINE>
      time  1 s
    <BLANKLINE>
      seen  5
    """
    title, work, *rest = summary.rstrip().split("\n\n")
    told = [line for line in work.splitlines() if line.split()[:1] in (["time"], ["pages"])]
    blocks = [block for block in rest if not block.lstrip().startswith(_CUT_BLOCKS)]
    return "\n\n".join([title, "\n".join(told), *blocks])
