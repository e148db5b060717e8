"""The doctor's findings: one for each check, with what was seen and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from carsync.errors import CarsyncError
from carsync.exit_codes import ExitCode


class Level(StrEnum):
    """How bad a finding is; `SKIPPED`: an earlier problem made the check impossible."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


class Finding(Struct, frozen=True):
    """One check: its `name`, what was `seen` and, unless that is `OK`, how to `fix` it.

    `exit_code` names the culprit, by the table of exit codes.
    """

    level: Level
    name: str
    seen: str
    fix: str = ""
    exit_code: ExitCode = ExitCode.CONFIG


class Group(Struct, frozen=True):
    """The findings about one part of the way from the feed to the table."""

    title: str
    findings: tuple[Finding, ...]


class Findings:
    """Collects the findings of one group; `exit_code` names the group's culprit.

    >>> found = Findings(ExitCode.API)
    >>> found.ok("answer", "HTTP 200")
    >>> found.all[0].level
    <Level.OK: 'ok'>
    """

    def __init__(self, exit_code: ExitCode) -> None:
        self.all: list[Finding] = []
        self._exit_code = exit_code

    def ok(self, name: str, seen: str) -> None:
        """Note that a check found nothing wrong."""
        self.all.append(Finding(Level.OK, name, seen, "", self._exit_code))

    def warn(self, name: str, seen: str, fix: str) -> None:
        """Note what a run survives, but the operator should know."""
        self.all.append(Finding(Level.WARNING, name, seen, fix, self._exit_code))

    def warn_if(self, is_bad: bool, name: str, seen: str, fix: str) -> None:
        """Note what was seen: as a warning where `is_bad`, else as nothing wrong."""
        if is_bad:
            self.warn(name, seen, fix)
        else:
            self.ok(name, seen)

    def problem(self, name: str, seen: str, fix: str, exit_code: ExitCode | None = None) -> None:
        """Note what would end a run; `exit_code` names a culprit other than the group's."""
        code = self._exit_code if exit_code is None else exit_code
        self.all.append(Finding(Level.PROBLEM, name, seen, fix, code))

    def failed(self, name: str, exc: CarsyncError) -> None:
        """Note an error as a problem: its words, its hint, its exit code."""
        self.all.append(Finding(Level.PROBLEM, name, words(exc), exc.hint, exc.exit_code))

    def skip(self, names: Iterable[str], because: str) -> None:
        """Note as skipped those of the checks `names` that were not made."""
        self.all += [
            Finding(Level.SKIPPED, name, f"because {because}", "", self._exit_code)
            for name in self.missing(names)
        ]

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return those of the checks `names` that have no finding."""
        made = {finding.name for finding in self.all}
        return [name for name in names if name not in made]


def words(exc: CarsyncError) -> str:
    """Return problem and detail of an error in one line.

    >>> words(CarsyncError("it failed", detail="so"))
    'it failed: so'
    """
    return f"{exc.problem}: {exc.detail}" if exc.detail else exc.problem


def count(groups: Sequence[Group], level: Level) -> int:
    """Return how many findings are of `level`."""
    return sum(finding.level is level for group in groups for finding in group.findings)


def verdict(groups: Sequence[Group], *, strict: bool) -> ExitCode:
    """Return the exit code of the first problem's culprit, `OK` where there is none.

    `strict` takes warnings for problems.

    >>> verdict([Group("feed", (Finding(Level.WARNING, "a", "b"),))], strict=False)
    <ExitCode.OK: 0>
    """
    bad = {Level.PROBLEM, Level.WARNING} if strict else {Level.PROBLEM}
    found = [finding for group in groups for finding in group.findings]
    return next((finding.exit_code for finding in found if finding.level in bad), ExitCode.OK)
