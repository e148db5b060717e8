"""A cluster judged: every wrong thing in words, with its fix and whose fault it is."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from carsync.doctor.cluster import checks
from carsync.doctor.cluster.checks import ClusterFacts
from carsync.doctor.findings import Finding, Findings, Level
from carsync.engine.cluster_tls import Handshake
from carsync.engine.cluster_view import (
    ApiView,
    CertificateView,
    DatabaseView,
    Examined,
    SchedulerView,
    WorkerView,
)
from carsync.exit_codes import ExitCode
from tests.support.findings import bad, judged

OURS = {"carsync": "1.0", "distributed": "2026.1", "python": "3.11"}
VIEW = SchedulerView(OURS, 0.01, 0, 30.0)
SHAKEN = Handshake("", 0.01, CertificateView("", 90.0))
DATABASE = DatabaseView(role="sync", place=(5, 1.5), free=50)
LOOK = Examined(api=ApiView(took_s=0.2), database=DATABASE, certificate=CertificateView("", 80.0))
WORKER = WorkerView("h1-7-1", "tls://h1", 16)
FACTS = ClusterFacts([WORKER], {"h1-7-1": Examined(skew_s=0.01)}, {"h1-7-1": LOOK}, DATABASE)


def scheduler(view: SchedulerView, seen: Handshake = SHAKEN) -> dict[str, str]:
    return bad(judged(checks.judge_scheduler, "tls://s:1", seen, view, OURS))


def workers(facts: ClusterFacts, concurrency: int = 16) -> dict[str, str]:
    return bad(judged(checks.judge_workers, facts, concurrency))


def test_a_cluster_as_it_should_be_is_all_right() -> None:
    assert scheduler(VIEW) == {}
    assert workers(FACTS) == {}


@pytest.mark.parametrize(
    ("view", "check", "words"),
    [
        (replace(VIEW, allowed_failures=3), "settings", "allowed-failures is 3, not 0"),
        (replace(VIEW, worker_ttl_s=0.0), "settings", "worker-ttl is never over"),
        (replace(VIEW, worker_ttl_s=300.0), "settings", "worker-ttl is 5 min"),
        (replace(VIEW, allowed_failures=None), "settings", "carsync is not there"),
        (replace(VIEW, versions={**OURS, "carsync": "0.9"}), "versions", "scheduler's carsync 0.9"),
        (replace(VIEW, versions={**OURS, "carsync": ""}), "versions", "carsync is missing"),
        (replace(VIEW, versions={**OURS, "python": "3.12"}), "versions", "ours: python 3.11"),
        (replace(VIEW, took_s=2.0), "scheduler", "answers in 2"),
    ],
)
def test_a_scheduler_of_other_settings_or_versions_is_named(
    view: SchedulerView, check: str, words: str
) -> None:
    found = scheduler(view)
    assert list(found) == [check]
    assert words in found[check]


def test_a_scheduler_that_somebody_started_by_hand_is_a_warning_with_the_command() -> None:
    found = scheduler(replace(VIEW, allowed_failures=3, worker_ttl_s=300.0))
    assert found["settings"].startswith("warning")
    assert "carsync scheduler" in found["settings"]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Handshake("connection refused"), "connection refused → start `carsync scheduler`"),
        (Handshake(certificate=CertificateView("certificate has expired")), "make a new"),
        (Handshake(certificate=CertificateView("unable to get local issuer")), "authority"),
        (Handshake(refused="tlsv1 alert unknown ca"), "the other side trusts another authority"),
        (Handshake(refused="sslv3 alert certificate expired"), "make a new certificate"),
    ],
)
def test_a_connection_that_fails_says_on_which_side(seen: Handshake, words: str) -> None:
    found = Findings(ExitCode.WORKERS)
    assert not checks.judge_handshake(found, "tls://s:1", seen)
    assert words in bad(found.all)["scheduler"]
    assert found.all[0].exit_code is ExitCode.WORKERS


def test_certificates_are_to_be_renewed_two_weeks_before_they_end() -> None:
    def own(days: float, error: str = "") -> list[Finding]:
        return judged(checks.judge_own, CertificateView(error, days))

    assert own(15.0)[0].level is Level.OK
    assert own(13.9)[0].level is Level.WARNING
    assert "13 days" in own(13.9)[0].seen
    assert own(0, "certificate has expired")[0].exit_code is ExitCode.CONFIG
    theirs = scheduler(VIEW, Handshake("", 0.01, CertificateView("", 2.5)))
    assert "2 days more → renew it on that machine" in theirs["scheduler"]
    soon = {"h1-7-1": replace(LOOK, certificate=CertificateView("", 3.0))}
    assert "h1-7-1: valid for 3 days" in workers(replace(FACTS, looks=soon))["their files"]
    over = {"h1-7-1": replace(LOOK, certificate=CertificateView("certificate has expired"))}
    assert workers(replace(FACTS, looks=over))["their files"].startswith("problem")


def unfit(name: str, misfit: str, *, is_others: bool = False) -> WorkerView:
    return WorkerView(name, f"tls://{name}", 16, misfit, is_others)


def test_workers_that_take_no_lease_say_why() -> None:
    some = replace(FACTS, workers=[WORKER, unfit("a", "its mapping differs")])
    assert "Not used: a: its mapping differs" in workers(some)["workers"]
    others = replace(FACTS, workers=[WORKER, unfit("a", "it reads x/y", is_others=True)])
    assert workers(others) == {}
    nobody = replace(FACTS, workers=[unfit("a", "it has no label x", is_others=True)])
    assert workers(nobody)["workers"].startswith("problem: none takes this feed's leases. a: it")
    assert "has no worker" in workers(ClusterFacts([], {}, {}, DATABASE))["workers"]
    assert "fewer than limits.concurrency (99)" in workers(FACTS, 99)["workers"]


@pytest.mark.parametrize(
    ("clock", "words"),
    [
        (Examined(skew_s=-60.0, within_s=0.1), "1 min behind"),
        (Examined(skew_s=7.0, within_s=0.1), "7 s ahead"),
        (Examined("no answer within 10 s"), "no answer"),
        (Examined(skew_s=7.0, within_s=3.0), ""),
    ],
)
def test_a_clock_is_wrong_beyond_the_round_trip(clock: Examined, words: str) -> None:
    found = workers(replace(FACTS, clocks={"h1-7-1": clock}))
    assert words in found.get("clocks", "")
    assert bool(found) == bool(words)


@pytest.mark.parametrize(
    ("database", "words"),
    [
        (DatabaseView("connection refused", "start it"), "h1-7-1: connection refused → start it"),
        (replace(DATABASE, place=(5, 2.5)), "it is another database than ours"),
        (replace(DATABASE, role="w", may_stage=False), "w may not write to staging → use one role"),
    ],
)
def test_a_database_that_a_worker_cannot_use_is_named(database: DatabaseView, words: str) -> None:
    facts = replace(FACTS, looks={"h1-7-1": replace(LOOK, database=database)})
    found = judged(checks.judge_workers, facts, 16)
    assert words in bad(found)["their database"]
    assert {each.exit_code for each in found if each.level is Level.PROBLEM} == {ExitCode.DATABASE}


def test_a_database_with_too_few_connections_is_a_warning() -> None:
    facts = replace(FACTS, looks={"h1-7-1": replace(LOOK, database=replace(DATABASE, free=2))})
    assert "2 connections are free, workers and the run need" in workers(facts)["their database"]


def test_what_was_not_asked_is_skipped_and_what_failed_is_the_apis() -> None:
    idle = replace(FACTS, no_request="a run is in progress")
    assert workers(idle) == {"their API": "skipped: because a run is in progress → "}
    failed: Any = {"h1-7-1": replace(LOOK, api=ApiView("HTTP 401", "look at the key"))}
    found = judged(checks.judge_workers, replace(FACTS, looks=failed), 16)
    assert bad(found) == {"their API": "problem: h1-7-1: HTTP 401 → look at the key"}
    assert found[-2].exit_code is ExitCode.API
    silent = replace(FACTS, looks={"h1-7-1": Examined("no answer within 45 s")})
    assert "no answer within 45 s" in workers(silent)["their view"]
