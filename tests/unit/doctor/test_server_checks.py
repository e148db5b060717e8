"""The server judged: address, version, settings, connections."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from carsync.doctor import server_checks
from carsync.doctor.findings import Findings
from carsync.doctor.server_checks import Endpoint, ServerFacts
from carsync.exit_codes import ExitCode
from tests.support.findings import bad, judged


@pytest.mark.parametrize(
    ("endpoint", "name", "words"),
    [
        (
            Endpoint("db.abcd.supabase.co", 5432, ["2600:1f16::1"], 0, "", "", ["unreachable"]),
            "address",
            ("IPv6 address only", "Session pooler"),
        ),
        (
            Endpoint("pg.test", 5432, ["2600:1f16::1"], 0, "", "", ["unreachable"]),
            "address",
            ("IPv6 address only", "IPv4"),
        ),
        (
            Endpoint("aws-0-eu.pooler.supabase.com", 6543, ["192.0.2.1"], 0, "", "192.0.2.1"),
            "endpoint",
            ("transaction pooler", "port 5432"),
        ),
        (
            Endpoint("db.abcd.supabase.co", 5432, error="Name or service not known"),
            "address",
            ("paused", "Session pooler"),
        ),
        (
            Endpoint("pg.test", 5432, ["192.0.2.1"], refusals=["connection refused"]),
            "address",
            ("refused", "is PostgreSQL running"),
        ),
        (
            Endpoint("pg.test", 5432, ["192.0.2.1"], refusals=["no answer within 4 s"]),
            "address",
            ("no answer", "firewall"),
        ),
    ],
)
def test_a_server_out_of_reach_is_explained(
    endpoint: Endpoint, name: str, words: tuple[str, str]
) -> None:
    found = Findings(ExitCode.DATABASE)
    assert not server_checks.judge_endpoint(found, endpoint)
    said = bad(found.all)
    assert list(said) == [name]
    assert all(word in said[name] for word in words), said


SERVER = ServerFacts(
    version=160_004,
    version_text="16.4",
    role="r",
    is_superuser=False,
    is_standby=False,
    encoding="UTF8",
    role_limit=-1,
    database_limit=-1,
    slots=97,
    used=20,
    used_by_role=3,
    used_in_database=9,
    skew_s=0.2,
    encrypted=True,
    pooled=False,
    settings={"statement_timeout": ("120 s", "0")},
)


@pytest.mark.parametrize(
    ("facts", "name", "words"),
    [
        ({"version": 120_000, "version_text": "12.1"}, "version", "13 or later"),
        ({"is_standby": True}, "version", "standby"),
        ({"encoding": "LATIN1"}, "encoding", "UTF8"),
        ({"skew_s": -40.0}, "server clock", "40 s behind"),
        ({"settings": {"statement_timeout": ("0", "2min")}}, "role settings", "cannot change"),
    ],
)
def test_what_a_server_lacks_is_named(facts: dict[str, Any], name: str, words: str) -> None:
    assert bad(judged(server_checks.judge_server, SERVER)) == {}
    found = bad(judged(server_checks.judge_server, replace(SERVER, **facts)))
    assert list(found) == [name]
    assert words in found[name]


FEW = [
    ({"used": 92}, 1, "8 needed, 5 free (max_connections leaves 97", 3),
    ({"role_limit": 10}, 1, "8 needed, 7 free (role r has a limit of 10)", 5),
    ({"database_limit": 12}, 1, "3 free (the database has a limit of 12)", 1),
    ({"pooled": True}, 4, "4 of 8 connections: no more", 2),
]


@pytest.mark.parametrize(("facts", "opened", "words", "writers"), FEW)
def test_too_few_connections_are_told_with_the_writers_that_fit(
    facts: dict[str, Any], opened: int, words: str, writers: int
) -> None:
    refused = "no more"
    assert bad(judged(server_checks.judge_connections, SERVER, 6, 1, "")) == {}
    assert (
        bad(judged(server_checks.judge_connections, replace(SERVER, pooled=True), 6, 8, "")) == {}
    )
    found = bad(
        judged(server_checks.judge_connections, replace(SERVER, **facts), 6, opened, refused)
    )
    assert words in found["connections"]
    assert f"set database.writers: {writers} " in found["connections"]
    assert found["connections"].startswith("warning"), "a run starts with those it gets"


@pytest.mark.parametrize("facts", [{"role_limit": 0}, {"pooled": True}])
def test_no_connection_to_write_is_a_problem(facts: dict[str, Any]) -> None:
    few = replace(SERVER, **facts)
    found = bad(judged(server_checks.judge_connections, few, 6, 1, "no more"))
    assert found["connections"].startswith("problem")
    assert "database.writers: 1" in found["connections"]


def test_the_checks_of_a_sound_server_are_those_that_are_named_in_their_order() -> None:
    found = Findings(ExitCode.DATABASE)
    server_checks.judge_kind(found, "db.test", SERVER)
    server_checks.judge_server(found, SERVER)
    server_checks.judge_connections(found, SERVER, 6, 0, "")
    assert [finding.name for finding in found.all] == list(server_checks.CHECKS)
