"""The findings as text of 80 columns, and as data."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from msgspec import Struct

from carsync import formatting
from carsync.doctor.findings import Finding, Group, Level, count
from carsync.exit_codes import ExitCode
from carsync.formatting import Displayed, Tone

WIDTH = 80
_NAME = 14
_SIGNS: dict[Level, tuple[str, Tone]] = {
    Level.OK: ("✓", "good"),
    Level.WARNING: ("!", "warn"),
    Level.PROBLEM: ("✗", "bad"),
    Level.SKIPPED: ("·", "plain"),
}


def render(
    groups: Sequence[Group], verdict: ExitCode, *, color: bool, only_wrong: bool = False
) -> Displayed:
    """Lay out the findings by group; checks skipped for one reason share a line.

    With `only_wrong` warnings and problems alone are shown; the last line counts all.
    """
    lines = []
    for group in wrong(groups) if only_wrong else groups:
        lines += [formatting.paint(group.title, "strong", color), ""]
        for finding in _joined(group.findings):
            lines += _line(finding, color)
        lines.append("")
    return formatting.display([*lines, _summary(groups, verdict, color)])


def wrong(groups: Sequence[Group]) -> list[Group]:
    """Return the warnings and problems alone, in those groups that have any."""
    bad = {Level.WARNING, Level.PROBLEM}
    found = (Group(g.title, tuple(f for f in g.findings if f.level in bad)) for g in groups)
    return [group for group in found if group.findings]


def _joined(findings: Sequence[Finding]) -> list[Finding]:
    """Join skipped checks that follow each other and have the same reason."""
    found: list[Finding] = []
    for finding in findings:
        last = found[-1] if found else None
        if last and finding.level is Level.SKIPPED is last.level and last.seen == finding.seen:
            found[-1] = Finding(Level.SKIPPED, f"{last.name}, {finding.name}", finding.seen)
        else:
            found.append(finding)
    return found


def _line(finding: Finding, color: bool) -> list[str]:
    sign, tone = _SIGNS[finding.level]
    if finding.level is Level.SKIPPED:
        wrapped = _wrap(f"{finding.name}: skipped, {finding.seen}", 4)
        return [
            f"  {formatting.paint(sign, tone, color)} {formatting.paint(wrapped[0], tone, color)}",
            *(formatting.paint(f"    {more}", tone, color) for more in wrapped[1:]),
        ]
    indent = 4 + _NAME + 2
    seen = _wrap(finding.seen, indent)
    name = finding.name.ljust(_NAME)
    if finding.level is not Level.OK:
        name = formatting.paint(name, tone, color)
    lines = [f"  {formatting.paint(sign, tone, color)} {name}  {seen[0]}"]
    lines += [f"{'':{indent}}{more}" for more in seen[1:]]
    if finding.fix:
        fix = _wrap(finding.fix, indent + 2)
        lines.append(f"{'':{indent}}{formatting.paint('→ ' + fix[0], 'strong', color)}")
        lines += [f"{'':{indent + 2}}{formatting.paint(more, 'strong', color)}" for more in fix[1:]]
    return lines


def _wrap(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH - indent, break_on_hyphens=False) or [""]


def _summary(groups: Sequence[Group], verdict: ExitCode, color: bool) -> str:
    problems, warnings = count(groups, Level.PROBLEM), count(groups, Level.WARNING)
    counted = formatting.plural(problems, "problem") if problems else "no problem"
    counted += f", {formatting.plural(warnings, 'warning')}" if warnings else ""
    if skipped := count(groups, Level.SKIPPED):
        counted += f", {skipped} skipped"
    tone: Tone = "bad" if verdict else "warn" if warnings else "good"
    return f"{formatting.paint(counted, tone, color)} (exit {int(verdict)})"


class CheckLine(Struct, frozen=True):
    """One check of `carsync check`: what was seen, and how to fix it where it is wrong."""

    name: str
    level: Level
    seen: str
    fix: str | None


class CheckGroup(Struct, frozen=True):
    """The checks of one part of the way from the feed to the table."""

    name: str
    checks: list[CheckLine]


class CheckAnswer(Struct, frozen=True):
    """What `carsync check` found; its counts are of all checks, shown or not."""

    exit_code: int
    problems: int
    warnings: int
    skipped: int
    groups: list[CheckGroup]


def answer(groups: Sequence[Group], verdict: ExitCode, *, only_wrong: bool = False) -> CheckAnswer:
    """Return the findings for JSON, with `only_wrong` the warnings and problems alone."""
    shown = wrong(groups) if only_wrong else groups
    return CheckAnswer(
        exit_code=int(verdict),
        problems=count(groups, Level.PROBLEM),
        warnings=count(groups, Level.WARNING),
        skipped=count(groups, Level.SKIPPED),
        groups=[
            CheckGroup(
                g.title, [CheckLine(f.name, f.level, f.seen, f.fix or None) for f in g.findings]
            )
            for g in shown
        ],
    )
