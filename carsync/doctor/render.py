"""The findings as text of 80 columns, and as data."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

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


def render(groups: Sequence[Group], verdict: ExitCode, *, color: bool) -> Displayed:
    """Lay out the findings by group; checks skipped for one reason share a line."""
    lines = []
    for group in groups:
        lines += [formatting.paint(group.title, "strong", color), ""]
        for finding in _joined(group.findings):
            lines += _line(finding, color)
        lines.append("")
    return formatting.display([*lines, _summary(groups, verdict, color)])


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


def as_data(groups: Sequence[Group], verdict: ExitCode) -> dict[str, Any]:
    """Return the findings as JSON data: groups of checks, and the exit code."""
    return {
        "exit_code": int(verdict),
        "problems": count(groups, Level.PROBLEM),
        "warnings": count(groups, Level.WARNING),
        "groups": [
            {
                "name": group.title,
                "checks": [
                    {"name": f.name, "level": str(f.level), "seen": f.seen, "fix": f.fix or None}
                    for f in group.findings
                ],
            }
            for group in groups
        ],
    }
