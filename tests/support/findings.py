"""What the doctor found, as tests read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.doctor import examine
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import Finding, Findings, Group, Level
from carsync.errors import ConfigError, DatabaseError
from carsync.exit_codes import ExitCode

KEYED = "api: {base_url: 'https://api.example.com', auth: {key: k}}\n"


def keyed_config(text: str = "") -> Config:
    return parse(KEYED + text, {})


def judged(judge: Callable[..., Any], *facts: Any) -> list[Finding]:
    """Give the findings of a judge that writes into `Findings`."""
    found = Findings(ExitCode.API)
    judge(found, *facts)
    return found.all


def bad(findings: Sequence[Finding]) -> dict[str, str]:
    """Give name → level, what was seen and how to mend it, of all that is not ok."""
    return {
        finding.name: f"{finding.level}: {finding.seen} → {finding.fix}"
        for finding in findings
        if finding.level is not Level.OK
    }


def by_name(groups: list[Group], *titles: str) -> dict[str, Finding]:
    found = [f for group in groups if group.title in titles for f in group.findings]
    names = [finding.name for finding in found]
    assert len(names) == len(set(names)), names
    return {finding.name: finding for finding in found}


def findings_of(config: Config) -> dict[str, Finding]:
    """Give the database's findings by name; each name once."""
    groups = examine.examine(config, Origin(None), None, lambda _: None)
    return by_name(groups, "database", "tables")


def problems(found: dict[str, Finding]) -> dict[str, str]:
    return {n: f"{f.seen} → {f.fix}" for n, f in found.items() if f.level is Level.PROBLEM}


def problem_groups() -> list[Group]:
    """Give one group with a finding of every level, the first problem the database's."""
    found = Findings(ExitCode.DATABASE)
    found.ok("version", "PostgreSQL 16")
    found.warn("clock", "w" * 30 + " " + "x" * 60, "mend " * 20)
    found.failed("grants", DatabaseError("no", hint="grant"))
    found.failed("mode", ConfigError("odd", hint="other"))
    found.skip(["a", "b"], "of that")
    return [Group("database", tuple(found.all))]
