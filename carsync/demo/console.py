"""Where the demo is told: lines of at most 80 columns, checks with their marks."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import click

from carsync import formatting
from carsync.demo.checker import CheckResult
from carsync.formatting import Tone

WIDTH = 80
_CUT_BLOCKS = ("acceptance", "next: nothing to do")


class Console:
    """Where the story is told, in lines of at most 80 columns; it counts the checks."""

    def __init__(self, *, color: bool, encoding: str) -> None:
        self._color = color
        self._encoding = encoding
        self.passed = 0
        self.failed = 0

    def say(self, text: str = "", tone: Tone | None = None) -> None:
        """Write a line, or several."""
        text = formatting.fit(text, self._encoding)
        click.echo(formatting.paint(text, tone, self._color) if tone else text)

    def chapter(self, name: str, text: str) -> None:
        """Begin a part of the story."""
        self.say()
        dash = self._fitting("─", "-")
        self.say(f"{dash * 2} {name} ".ljust(WIDTH, dash), "strong")
        self.say(textwrap.fill(text, WIDTH))

    def command(self, line: str) -> None:
        """Show what is typed next."""
        self.say()
        self.say(f"$ {line}", "strong")

    def judge(self, findings: Iterable[CheckResult]) -> None:
        """Show the findings as they come, one marked line each."""
        self.say()
        for finding in findings:
            self.passed += finding.passed
            self.failed += not finding.passed
            mark = self._fitting("✓", "ok") if finding.passed else self._fitting("✗", "FAILED")
            mark = formatting.paint(mark, "good" if finding.passed else "bad", self._color)
            self.say(f"  {mark} {finding.subject:<8}{finding.text}")

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
