"""The doctor's judgement: facts in, findings out; what is shown of them, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carsync.cli import check
from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.doctor import (
    config_checks,
    feed_checks,
    machine_checks,
    render,
    server_checks,
    table_checks,
)
from carsync.doctor.config_checks import Origin
from carsync.doctor.feed_checks import Certificate, FirstPage, Lookup
from carsync.doctor.findings import Finding, Findings, Group, Level, verdict
from carsync.doctor.machine_checks import MachineFacts
from carsync.doctor.server_checks import Endpoint, ServerFacts
from carsync.doctor.table_checks import Overlap, Privileges, TableFacts
from carsync.errors import CheckpointError, ConfigError, DatabaseError, FailureKind
from carsync.errors import PageError as Fault
from carsync.exit_codes import ExitCode
from carsync.mapping.discovery import PageLayout
from carsync.model import PageInfo
from carsync.source.pagination.base import load_paginator

KEYED = "api: {base_url: 'https://api.example.com', auth: {key: k}}\n"


def config(text: str = "") -> Config:
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


# ── configuration ────────────────────────────────────────────────────────────


def test_the_defaults_with_a_key_give_no_cause_for_worry() -> None:
    assert bad(config_checks.judge(config(), Origin("prod.yaml", ("RPS",)))) == {}


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("limits: {burst: 900}", "burst", "900 requests at once"),
        ("limits: {burst: 1}", "burst", "will not be reached"),
        ("limits: {requests_per_second: 0}", "rate", "no rate limit"),
        ("limits: {requests_per_second: 0, burst: 5}", "burst", "no effect"),
        ("database: {writers: 40}", "writers", "40 writers"),
        ("limits: {retry: {base_s: 90}}", "retries", "greater than cap_s"),
        ("sync: {deactivate: {max_share: 0.9}}", "deactivation", "max_share"),
        ("sync: {deactivate: {second_proof: none}}", "deactivation", "second_proof"),
        ("sync: {max_reject_share: 0.8}", "deactivation", "max_reject_share"),
    ],
)
def test_a_risky_value_is_a_warning_with_its_remedy(text: str, name: str, words: str) -> None:
    found = bad(config_checks.judge(config(text), Origin(None)))
    assert list(found)[-1] == name
    assert found[name].startswith("warning")
    assert words in found[name]
    assert not found[name].endswith("→ ")


def test_a_file_with_the_key_in_it_is_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RPS", "5")
    file = tmp_path / "x.yaml"
    file.write_text("api: {auth: {key: hush-1}}")
    for mode, exposed in ((0o644, True), (0o600, False)):
        file.chmod(mode)
        origin = check._origin(parse(file.read_text(), {}), file)
        assert origin == Origin(str(file), ("RPS",), exposed)
    file.write_text("api: {auth: {key: '${API_KEY}'}}")
    file.chmod(0o644)
    assert not check._origin(parse(file.read_text(), {"API_KEY": "hush-1"}), file).exposed


def test_a_key_that_is_not_sent_or_not_there_and_time_outs_at_odds_are_told() -> None:
    odd = "api: {auth: {type: none, key: k}, timeout: {read_s: 90}}"
    assert set(bad(config_checks.judge(parse(odd, {}), Origin(None)))) == {"key", "time-outs"}
    assert "no key is set" in bad(config_checks.judge(parse("", {}), Origin(None)))["key"]
    exposed = bad(config_checks.judge(config(), Origin("x.yaml", (), exposed=True)))
    assert "chmod 600 x.yaml" in exposed["secrets"]


# ── machine ──────────────────────────────────────────────────────────────────

FACTS = MachineFacts(
    versions="carsync 1",
    checkpoint="/s/x.json",
    folder="/s",
    write_error=None,
    lock_error=None,
    read_error=None,
    is_locked=False,
    free_bytes=10**9,
    free_files=10**6,
    shm_free_bytes=10**7,
    shm_writable=True,
    open_files=1024,
    available_bytes=10**10,
    cores=2,
)


def test_a_machine_with_room_for_a_run_is_fine() -> None:
    assert bad(machine_checks.judge(config(), FACTS)) == {}


@pytest.mark.parametrize(
    ("facts", "name", "level"),
    [
        ({"write_error": CheckpointError("no", hint="mend")}, "checkpoint", "problem"),
        ({"lock_error": CheckpointError("no", hint="mend")}, "checkpoint", "problem"),
        ({"read_error": CheckpointError("broken")}, "checkpoint", "warning"),
        ({"free_bytes": 1000}, "checkpoint", "warning"),
        ({"free_files": 0}, "checkpoint", "warning"),
        ({"checkpoint": None}, "checkpoint", "skipped"),
        ({"is_locked": True}, "other run", "warning"),
        ({"shm_free_bytes": 4096}, "shared memory", "problem"),
        ({"shm_free_bytes": 0}, "shared memory", "problem"),
        ({"shm_writable": False}, "shared memory", "problem"),
        ({"open_files": 100}, "open files", "problem"),
        ({"available_bytes": 10**8}, "memory", "warning"),
    ],
)
def test_a_machine_without_room_is_named(facts: dict[str, Any], name: str, level: str) -> None:
    found = bad(machine_checks.judge(config(), replace(FACTS, **facts)))
    assert list(found) == [name]
    assert found[name].startswith(level)


# ── the API ──────────────────────────────────────────────────────────────────

PAGE = FirstPage(
    latency_s=0.4,
    wire_bytes=39_000,
    skew_s=0.3,
    layout=PageLayout("data", 100, "meta.last_page", "meta.total", 2000, 200_000),
    records=100,
    pages=2000,
    total=200_000,
    mapped=100,
)


def test_a_page_as_the_configuration_has_it_is_fine() -> None:
    found = judged(feed_checks.judge_page, config(), PAGE)
    assert bad(found) == {}
    assert "2,000 pages take 1 min 40 s at 20 pages/s" in found[-1].seen


@pytest.mark.parametrize(
    ("page", "name", "words"),
    [
        ({"mapped": 98, "reasons": (("make: missing", 2),)}, "mapping", "warning: 98 of 100"),
        ({"mapped": 40, "reasons": (("\x1b[2Jbad", 60),)}, "mapping", "problem: 40 of 100"),
        ({"records": 20, "pages": 10_000, "mapped": 20}, "page size", "pagination.page_size: 20"),
        ({"records": 20, "pages": None, "total": 60, "mapped": 20}, "page size", "page_size: 20"),
        ({"records": 60, "mapped": 60}, "page size", "problem: page 1 of 2,000 holds 60"),
        ({"records": 200, "pages": 1000, "mapped": 200}, "page size", "page_size: 200"),
        ({"pages": None, "total": None}, "totals", "warning: no number at meta.last_page"),
        ({"latency_s": 4.0}, "pace", "about 4.0 pages/s"),
        ({"pages": 90_000, "total": 9_000_000}, "pace", "acceptance allows 25 min"),
        ({"records": 0, "mapped": 0, "layout": None}, "records", "warning: the first page "
         "holds no"),
    ],
)  # fmt: skip
def test_what_a_page_lacks_is_named(page: dict[str, Any], name: str, words: str) -> None:
    seen = replace(PAGE, **page)
    info = PageInfo(seen.pages, seen.total)
    objection = load_paginator(config().api).find_fault(1, seen.records, info, None)
    found = bad(judged(feed_checks.judge_page, config(), replace(seen, objection=objection)))
    assert list(found) == [name]
    assert words in found[name]
    assert "\x1b" not in found[name]


def test_a_feed_without_totals_by_design_is_fine() -> None:
    text = "{records: data, total_pages: null, total_records: null}"
    asked = parse(f"api: {{base_url: 'https://x.test', pagination: {text}}}", {})
    blind = replace(PAGE, pages=None, total=None, layout=PageLayout("data", 100))
    assert bad(judged(feed_checks.judge_page, asked, blind)) == {}
    seen = bad(judged(feed_checks.judge_page, asked, replace(PAGE, pages=None, total=None)))
    assert "total_records: meta.total" in seen["totals"]


def test_an_answer_of_another_shape_names_the_keys_to_set() -> None:
    fault = Fault(FailureKind.BAD_PAGE, "no page", detail="there is no list at data")
    layout = PageLayout("result.items", 20, "pages", None, 3)
    found = bad(judged(feed_checks.judge_page, config(), replace(PAGE, fault=fault, layout=layout)))
    wanted = "{records: result.items, total_pages: pages, total_records: null}"
    assert found["records"].startswith("problem: there is no list at data")
    assert wanted in found["records"]


@pytest.mark.parametrize(
    ("fault", "name", "words"),
    [
        (Fault(FailureKind.AUTH, "refused", status=401, hint="API_KEY"), "key", "API_KEY"),
        (Fault(FailureKind.CLIENT, "HTTP 404", status=404), "answer", "api.path"),
        (Fault(FailureKind.RATE_LIMITED, "HTTP 429", status=429), "answer", "lower"),
        (Fault(FailureKind.SERVER, "HTTP 500", status=500), "answer", "later"),
        (Fault(FailureKind.TIMEOUT, "late"), "answer", "api.timeout"),
    ],
)
def test_a_request_that_failed_is_explained(fault: Fault, name: str, words: str) -> None:
    found = bad(judged(feed_checks.judge_failure, fault))
    assert list(found) == [name]
    assert words in found[name]


def test_names_certificates_and_clocks_are_judged() -> None:
    assert bad(judged(feed_checks.judge_lookup, Lookup("a.test", ["192.0.2.1"], 0.01))) == {}
    assert (
        "warning"
        in bad(judged(feed_checks.judge_lookup, Lookup("a.test", ["192.0.2.1"], 3)))["DNS"]
    )
    unknown = Lookup("a.test", error="Name or service not known")
    assert "typing error" in bad(judged(feed_checks.judge_lookup, unknown))["DNS"]

    fine = Certificate("", 80.5, "A CA", "TLSv1.3")
    assert bad(judged(feed_checks.judge_certificate, fine)) == {}
    assert judged(feed_checks.judge_certificate, fine)[0].seen.endswith("valid for 80 days more")
    soon = bad(judged(feed_checks.judge_certificate, replace(fine, days_left=3.9)))["TLS"]
    assert soon.startswith("warning")
    assert "3 days" in soon
    for words, fix in (
        ("certificate has expired", "must renew"),
        ("self-signed certificate", "api.ca_bundle"),
        ("unable to get local issuer certificate", "whole chain"),
        ("Hostname mismatch, certificate is not valid for 'x'", "api.base_url"),
    ):
        assert fix in bad(judged(feed_checks.judge_certificate, Certificate(words)))["TLS"]

    plain = bad(judged(lambda f: feed_checks.judge_plain_http(f, config(), is_local=False)))
    assert "readable for everybody" in plain["TLS"]
    assert bad(judged(lambda f: feed_checks.judge_plain_http(f, config(), is_local=True))) == {}

    assert (
        bad(judged(feed_checks.judge_skew, 12.0)) == bad(judged(feed_checks.judge_skew, None)) == {}
    )
    assert "1 min 30 s behind" in bad(judged(feed_checks.judge_skew, 90.0))["clock"]
    assert "ahead of" in bad(judged(feed_checks.judge_skew, -90.0))["clock"]


# ── the database ─────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize(
    ("facts", "opened", "refused", "words"),
    [
        ({"used": 92}, 1, "", "8 needed, 5 free (max_connections leaves 97"),
        ({"role_limit": 10}, 1, "", "8 needed, 7 free (role r has a limit of 10)"),
        ({"database_limit": 12}, 1, "", "3 free (the database has a limit of 12)"),
        ({"role_limit": 0}, 1, "", "0 free"),
        ({"pooled": True}, 4, "MaxClientsInSessionMode", "4 connections of the 8"),
    ],
)
def test_too_few_connections_are_a_problem(
    facts: dict[str, Any], opened: int, refused: str, words: str
) -> None:
    assert bad(judged(server_checks.judge_connections, SERVER, 6, 1, "")) == {}
    assert (
        bad(judged(server_checks.judge_connections, replace(SERVER, pooled=True), 6, 8, "")) == {}
    )
    found = bad(
        judged(server_checks.judge_connections, replace(SERVER, **facts), 6, opened, refused)
    )
    assert words in found["connections"]
    assert found["connections"].startswith("problem")


HELD = Privileges("r", "d", True, True, True, True, True, True, True, True, {})


@pytest.mark.parametrize(
    ("held", "pending", "name", "words"),
    [
        ({"use_own_schema": None, "create_in_database": False}, (), "schema carsync",
         "GRANT CREATE ON DATABASE d TO r"),
        ({"use_own_schema": False}, (), "schema carsync", "GRANT USAGE ON SCHEMA carsync"),
        ({"create_in_own_schema": False}, (), "schema carsync", "lacks CREATE"),
        ({"lacking": {"runs": ["UPDATE"]}}, (), "schema carsync", "UPDATE on runs"),
        ({"owns_own_tables": False}, ["migration 0009_x is pending"], "schema carsync",
         "does not own"),
        ({"use_schema": None}, (), "target schema", "CREATE SCHEMA public"),
        ({"use_schema": False}, (), "target schema", "GRANT USAGE"),
        ({"owns_target": None, "create_in_schema": False}, (), "target schema", "GRANT CREATE"),
        ({"owns_target": False}, ["column public.cars.vin is missing"], "new columns", "OWNER TO"),
    ],
)  # fmt: skip
def test_each_missing_privilege_comes_with_its_grant(
    held: dict[str, Any], pending: Sequence[str], name: str, words: str
) -> None:
    assert bad(judged(table_checks.judge_privileges, "public.cars", HELD, ())) == {}
    found = bad(
        judged(table_checks.judge_privileges, "public.cars", replace(HELD, **held), pending)
    )
    assert list(found) == [name]
    assert words in found[name]


TABLE = TableFacts(None, (), 200_000, "xxh3_128:v1:make,year", "", None)


def test_a_table_that_cannot_be_kept_and_pending_migrations_are_told() -> None:
    on, off = config(), config("database: {auto_migrate: false}")
    waiting = replace(TABLE, pending=["migration 0009_x is pending"])
    assert bad(judged(table_checks.judge_tables, on, "public.cars", waiting)) == {}
    found = bad(judged(table_checks.judge_tables, off, "public.cars", waiting))
    assert "carsync migrate" in found["migrations"]
    broken = replace(TABLE, error=DatabaseError("newer", detail="7", hint="upgrade carsync"))
    found = bad(judged(table_checks.judge_tables, on, "public.cars", broken))
    assert found == {
        "target table": "skipped: because the migrations cannot be read → ",
        "migrations": "problem: newer: 7 → upgrade carsync",
        "hashes": "skipped: because the migrations cannot be read → ",
    }
    broken = replace(TABLE, error=DatabaseError("public.cars is not a table", hint="choose"))
    found = bad(judged(table_checks.judge_tables, on, "public.cars", broken))
    assert found["target table"] == "problem: public.cars is not a table → choose"
    assert found["migrations"].startswith("skipped")


def test_a_rewrite_of_every_row_is_announced() -> None:
    def hashes(facts: TableFacts, scheme: str, overlap: Overlap | None) -> dict[str, str]:
        return bad(judged(table_checks.judge_hashes, facts, scheme, overlap, "external"))

    same = "xxh3_128:v1:make,year"
    assert hashes(TABLE, same, None) == {}
    changed = hashes(TABLE, "xxh3_128:v1:make,price", None)["hashes"]
    assert "(+price, -year)" in changed
    assert "200,000 rows are rewritten" in changed

    adopted = replace(TABLE, scheme=None)
    old = Overlap(100, 97, 0, {"xxh3_128": 0, "md5": 95})
    assert "mapping.hash.algorithm: md5" in hashes(adopted, same, old)["hashes"]
    assert hashes(adopted, "md5:v1:make,year", old) == {}
    assert (
        "most of"
        in hashes(adopted, same, replace(old, same_by={"xxh3_128": 1, "md5": 0}))["hashes"]
    )
    assert "source_api" in hashes(adopted, "md5:v1:make,year", replace(old, foreign=97))["source"]


def test_another_run_is_a_warning_and_an_unfinished_one_is_not() -> None:
    assert bad(judged(table_checks.judge_runs, replace(TABLE, unfinished_run=4))) == {}
    assert (
        "pid 7" in bad(judged(table_checks.judge_runs, replace(TABLE, lock_holder="pid 7")))["lock"]
    )


# ── the report ───────────────────────────────────────────────────────────────


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


def test_the_report_fits_80_columns_and_says_what_and_how() -> None:
    text = render.render(groups(), ExitCode.DATABASE, color=False)
    assert max(map(len, text.splitlines())) <= render.WIDTH
    assert "a, b: skipped, because of that" in text
    assert "→ grant" in text
    assert "✗ grants" in text
    assert text.endswith("2 problems, 1 warning, 2 skipped (exit 4)")
    colored = render.render(groups(), ExitCode.DATABASE, color=True)
    assert "\x1b[31m✗\x1b[0m" in colored


def test_the_data_holds_every_check() -> None:
    data = json.loads(json.dumps(render.as_data(groups(), ExitCode.DATABASE)))
    assert data["exit_code"] == 4
    assert data["problems"] == 2
    assert data["groups"][0]["checks"][2] == {
        "name": "grants",
        "level": "problem",
        "seen": "no",
        "fix": "grant",
    }
