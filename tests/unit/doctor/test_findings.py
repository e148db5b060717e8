"""Findings: collected by name, counted, and summed up in an exit code."""

from __future__ import annotations

from carsync.doctor.findings import Findings, Group, verdict
from carsync.errors import ConfigError, DatabaseError
from carsync.exit_codes import ExitCode


def groups() -> list[Group]:
    found = Findings(ExitCode.DATABASE)
    found.ok("version", "PostgreSQL 16")
    found.warn("clock", "w" * 30 + " " + "x" * 60, "mend " * 20)
    found.failed("grants", DatabaseError("no", hint="grant"))
    found.failed("mode", ConfigError("odd", hint="other"))
    found.skip(["a", "b"], "of that")
    return [Group("database", tuple(found.all))]


def test_the_exit_code_is_the_first_problems_and_warnings_count_only_if_strict() -> None:
    assert verdict(groups(), strict=False) is ExitCode.DATABASE
    only = [Group("x", groups()[0].findings[:2])]
    assert verdict(only, strict=False) is ExitCode.OK
    assert verdict(only, strict=True) is ExitCode.DATABASE
    assert verdict([Group("x", groups()[0].findings[3:])], strict=False) is ExitCode.CONFIG
