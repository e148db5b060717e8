"""Findings: collected by name, counted, and summed up in an exit code."""

from __future__ import annotations

from carsync.doctor.findings import Findings, Group, Level, count, verdict
from carsync.errors import DatabaseError
from carsync.exit_codes import ExitCode
from tests.support.findings import problem_groups


def test_the_exit_code_is_the_first_problems_and_warnings_count_only_if_strict() -> None:
    assert verdict(problem_groups(), strict=False) is ExitCode.DATABASE
    only = [Group("x", problem_groups()[0].findings[:2])]
    assert verdict(only, strict=False) is ExitCode.OK
    assert verdict(only, strict=True) is ExitCode.DATABASE
    assert verdict([Group("x", problem_groups()[0].findings[3:])], strict=False) is ExitCode.CONFIG


def test_the_same_sight_is_a_warning_only_where_it_is_bad() -> None:
    found = Findings(ExitCode.API)
    for is_bad in (True, False):
        found.warn_if(is_bad, "DNS", "3 s", "see /etc/resolv.conf")
    assert [(each.level, each.seen, each.fix) for each in found.all] == [
        (Level.WARNING, "3 s", "see /etc/resolv.conf"),
        (Level.OK, "3 s", ""),
    ]


def test_a_check_is_skipped_once_and_only_if_it_was_not_made() -> None:
    found = Findings(ExitCode.API)
    found.ok("DNS", "fine")
    found.problem("TLS", "expired", "renew it", ExitCode.CONFIG)
    found.skip(("DNS", "TLS", "answer", "clock"), "the API is not reached")
    found.skip(("clock", "pace"), "another reason")
    assert [(each.name, each.level) for each in found.all] == [
        ("DNS", Level.OK),
        ("TLS", Level.PROBLEM),
        ("answer", Level.SKIPPED),
        ("clock", Level.SKIPPED),
        ("pace", Level.SKIPPED),
    ]
    assert found.all[2].seen == "because the API is not reached"
    assert [each.exit_code for each in found.all[1:3]] == [ExitCode.CONFIG, ExitCode.API]
    assert found.missing(("pace", "records", "DNS")) == ["records"]


def test_an_error_is_a_problem_with_its_words_hint_and_culprit() -> None:
    found = Findings(ExitCode.API)
    found.failed("login", DatabaseError("refused", detail="no such role", hint="create it"))
    (login,) = found.all
    assert (login.seen, login.fix, login.exit_code) == (
        "refused: no such role",
        "create it",
        ExitCode.DATABASE,
    )
    assert count([Group("x", (login, login))], Level.PROBLEM) == 2
