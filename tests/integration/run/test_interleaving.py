"""Full and incremental runs in any order, killed and resumed: the newest that was read stays.

A Hypothesis state machine whose runs are real from the lock to the report, with a real
PostgreSQL; only the processes and the API are played (see `versioned_feed`). The model knows which
version of a car each run has read. The time of the server, too, may be set back and forward.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import HealthCheck, event, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.exit_codes import ExitCode
from carsync.model import Mode, RunOptions
from carsync.postgres.wait import Connection
from carsync.run.report import RunReport
from tests.conftest import ask
from tests.support import effort
from tests.support.configs import SMALL_MAPPING
from tests.support.effort import trials
from tests.support.in_process_engine import await_last_session, sync_in_process
from tests.support.merge_rig import SOURCE
from tests.support.versioned_feed import (
    PAGE_SIZE,
    UNREADABLE,
    KilledError,
    Outcome,
    Reading,
    Step,
    VersionedEngine,
    VersionedFeed,
    Witness,
)


class Row(NamedTuple):
    """A car in the table; `version` is that of the record that was written last."""

    price: int
    version: int
    is_active: bool


SHIFT = """
UPDATE public.cars SET created_at = created_at + {0}, updated_at = updated_at + {0},
    last_synced_at = last_synced_at + {0};
UPDATE carsync.runs SET merged_at = merged_at + {0}, api_clock_at = api_clock_at + {0},
    started_at = started_at + {0}
"""
"""The server's clock is set: all that it told before lies in the future, or further back."""

moves = st.tuples(
    st.sampled_from(("change", "change", "sell", "list")),
    st.integers(0, 5),
    st.sampled_from((1, 1, 2, 2, 3, UNREADABLE)),
)
outcomes = st.sampled_from(("answer", "answer", "answer", "answer", "fail", "stop", "kill"))
steps = st.builds(Step, st.lists(moves, max_size=2).map(tuple), outcomes)
modes = st.sampled_from(("full", "incremental"))


class InterleavingMachine(RuleBasedStateMachine):
    """Moves a feed of some cars in pages of 2, and runs carsync."""

    def __init__(self, dsn: str, conn: Connection, folder: Path) -> None:
        super().__init__()
        self._conn = conn
        self._checkpoint = folder / "checkpoint.json"
        self._checkpoint.unlink(missing_ok=True)
        self._config = configure(dsn)
        for table in ("public.cars", "carsync.rejects", "carsync.absences", "carsync.runs"):
            ask(conn, f"DELETE FROM {table}")
        self._feed = VersionedFeed()
        self._witness = Witness()
        self._newest: dict[str, int] = {}
        """Of each car the newest version that a merged run has read."""
        self._is_exact = False
        """Whether all changes so far, but for cars that were sold, are in the table or will be."""

    @initialize(cars=st.integers(3, 6))
    def begin(self, cars: int) -> None:
        self._feed.add(cars)
        self._run("full", Reading())

    # ── rules ────────────────────────────────────────────────────────────────

    @rule(happenings=st.lists(moves, min_size=1, max_size=4))
    def move(self, happenings: list[Any]) -> None:
        for happening in happenings:
            self._feed.move(happening)

    @rule(mode=modes, script=st.lists(steps, min_size=1, max_size=6))
    def run_while_it_moves(self, mode: Mode, script: list[Step]) -> None:
        self._run(mode, Reading(deque(script)))

    @rule(mode=modes)
    def run_quietly(self, mode: Mode) -> None:
        self._run(mode, Reading())

    @rule(
        first=st.lists(steps, min_size=1, max_size=2),
        end=st.sampled_from(("stop", "kill")),
        between=st.lists(moves, min_size=1, max_size=3),
        script=st.lists(steps, max_size=2),
    )
    def overtake(
        self, first: list[Step], end: Outcome, between: list[Any], script: list[Step]
    ) -> None:
        """An incremental run comes in between two halves of a full one."""
        self._run("full", Reading(deque([*first, Step((), end)])))
        for happening in between:
            self._feed.move(happening)
        self._run("incremental", Reading())
        self._run("full", Reading(deque(script)))

    @rule(hours=st.sampled_from((-1, 1)))
    def set_clock(self, hours: int) -> None:
        interval = f"'{hours} hours'::interval"
        for statement in SHIFT.format(interval).split(";"):
            ask(self._conn, statement)
        for (ledger,) in self._tables("ledger"):
            ask(self._conn, f"UPDATE carsync.{ledger} SET fetched_at = fetched_at + {interval}")

    @rule()
    def crash_the_database(self) -> None:
        for kind in ("staging", "ledger"):
            for (table,) in self._tables(kind):
                ask(self._conn, f"TRUNCATE carsync.{table}")

    # ── running and judging ──────────────────────────────────────────────────

    def _run(self, mode: Mode, reading: Reading) -> None:
        before, listed = self._rows(), set(self._feed.listed())
        report = self._sync(mode, reading)
        after = self._rows()
        if report is None or report.counts is None:
            assert after == before
            return
        event(f"{mode} exit {report.exit_code}")
        assert report.run_id is not None
        read = self._witness.reads[report.run_id]
        for car, version in read:
            self._newest[car] = max(version, self._newest.get(car, 0))
        for car, row in after.items():
            if row[:2] != before.get(car, (None,))[:2]:
                assert row.version >= self._newest[car], f"car {car}: an older version was written"
        gone = {car for car, row in before.items() if row.is_active and not after[car].is_active}
        assert not gone or mode == "full", "a delta says nothing of cars that it does not list"
        assert not gone & listed & set(self._feed.listed())
        if report.exit_code is ExitCode.OK and not reading.moved:
            self._judge_exact(mode, report, after)

    def _sync(self, mode: Mode, reading: Reading) -> RunReport | None:
        await_last_session(self._conn)
        new_engine = partial(
            VersionedEngine,
            feed=self._feed,
            reading=reading,
            witness=self._witness,
            conn=self._conn,
        )
        options = RunOptions(mode=mode)
        with suppress(KilledError):
            return sync_in_process(
                self._config, self._checkpoint, new_engine, stop=reading.stop, options=options
            )
        return None

    def _judge_exact(self, mode: Mode, report: RunReport, after: dict[str, Row]) -> None:
        """What was read in one go equals the feed."""
        listed = self._feed.listed()
        readable = {c: car for c, car in listed.items() if car.prices[-1] != UNREADABLE}
        was_resumed = report.figures.pages_resumed > 0
        if mode == "full" and not was_resumed:
            assert {car for car, row in after.items() if row.is_active} <= listed.keys()
        if not was_resumed:
            wrong = {
                c
                for c, car in readable.items()
                if (after[c].price, after[c].is_active) != (car.prices[-1], True)
            }
            assert not wrong, f"{mode} run {report.run_id}: {wrong}"

    def _rows(self) -> dict[str, Row]:
        query = "SELECT id, price::int, year, is_active FROM public.cars"
        return {car: Row(*row) for car, *row in ask(self._conn, query)}

    def _tables(self, kind: str) -> list[tuple[Any, ...]]:
        query = "SELECT relname FROM pg_class WHERE relname ~ %s AND relkind = 'r'"
        return ask(self._conn, query, f"^{kind}_[0-9]+$")


def configure(dsn: str) -> Config:
    pagination = {
        "page_size": PAGE_SIZE,
        "total_pages": "meta.last_page",
        "total_records": None,
    }
    year = {"path": "year", "type": "integer"}
    text = {
        "api": {
            "base_url": "http://localhost:1",
            "pagination": pagination,
            "window": {"param": "since", "format": "epoch_s", "overlap": "0s", "max": "999h"},
        },
        "limits": {"retry": {"base_s": 1e-9, "cap_s": 1e-9, "max_attempts": 1}},
        "database": {"dsn": dsn, "auto_migrate": False, "writers": 1},
        "acceptance": {"max_error_rate": None},
        "mapping": {**SMALL_MAPPING, "columns": {**SMALL_MAPPING["columns"], "year": year}},
        "sync": {
            "source": SOURCE,
            "max_reject_share": 1.0,
            "plausible": None,
            "deactivate": {"second_proof": "none", "max_share": 1.0, "min_seen_share": 0.0},
        },
    }
    return parse(yaml.safe_dump(text), {}, ())


@pytest.mark.timeout(trials(600, 36_000))
def test_the_newest_that_was_read_stays_in_whatever_order_runs_are_merged(
    dsn: str, plain_conn: Connection, tmp_path: Path
) -> None:
    machine = partial(InterleavingMachine, dsn, plain_conn, tmp_path)
    run_state_machine_as_test(
        machine if effort.is_long else seed(1)(machine),  # type: ignore[arg-type]
        settings=settings(
            max_examples=trials(6, 3_000),
            stateful_step_count=10,
            database=None,
            report_multiple_bugs=False,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
