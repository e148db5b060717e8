"""The tables judged: grants, adoption, hashes, runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from carsync.doctor import table_checks
from carsync.doctor.findings import Findings
from carsync.doctor.table_checks import Overlap, Privileges, TableFacts
from carsync.errors import DatabaseError
from carsync.exit_codes import ExitCode
from carsync.state.api_use import BudgetUse
from tests.support.findings import bad, judged
from tests.support.findings import keyed_config as config

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


def test_the_checks_of_sound_tables_are_those_that_are_named_in_their_order() -> None:
    found = Findings(ExitCode.DATABASE)
    table_checks.judge_privileges(found, "public.cars", HELD, ())
    assert table_checks.judge_tables(found, config(), "public.cars", TABLE)
    table_checks.judge_hashes(found, TABLE, "xxh3_128:v1:make,year", None, "external")
    table_checks.judge_runs(found, TABLE)
    assert [finding.name for finding in found.all] == list(table_checks.CHECKS)


def test_a_table_that_anybody_may_write_is_warned_of() -> None:
    held = replace(HELD, open_writers=("anon", "public"))
    found = Findings(ExitCode.DATABASE)
    table_checks.judge_privileges(found, "public.cars", held, ())
    (warning,) = (each for each in found.all if each.name == "open to writes")
    assert "may be changed by anon, public" in warning.seen
    assert "REVOKE" in warning.fix


@pytest.mark.parametrize(("used", "level"), [(999, "ok"), (1000, "warning")])
def test_a_budget_that_is_used_up_is_a_warning(used: int, level: str) -> None:
    use = BudgetUse.of(1000, "day", used, datetime(2026, 11, 29, 20, tzinfo=UTC))
    (finding,) = judged(table_checks.judge_budget, use)
    assert finding.level == level
    assert f"{1000 - used} of 1,000 requests a day left" in finding.seen
    assert judged(table_checks.judge_budget, None) == []
