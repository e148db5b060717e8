"""The feed moves while it is read, as hostile as can be: no car that it always listed goes.

A Hypothesis state machine: rules move the feed and run carsync, whose parent is the real
one from the lock to the report, with a real PostgreSQL; only the processes and the API
are played (see `drifting`). The model knows which cars were listed from a run's first
request to the end of its proof. Those must stay active (I8)

- in a run during which nothing moved, whatever `second_proof` says,
- with `by_id` and an API that answers by id, always.

The feed may lie of itself all along: of its totals, its page size, its end, by id (`LIES`).

And once nothing moves any more the table comes to equal the feed.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, event, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from psycopg2.extras import execute_values

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.deactivation import approval
from carsync.exit_codes import ExitCode
from carsync.mapping.mapper import Mapper
from carsync.postgres.wait import Connection
from carsync.run.report import RunReport
from tests.conftest import ask
from tests.support import effort
from tests.support.configs import SMALL_MAPPING
from tests.support.drifting_feed import RIVAL_SQL, DriftingEngine, MovingFeed, Script, Step
from tests.support.effort import trials
from tests.support.in_process_engine import await_last_session, sync_in_process
from tests.support.merge_rig import SOURCE, TARGET

PAGE_SIZE = 3
QUIET_RUNS = 40
"""After so many quiet runs at most the table must equal the feed, with one probe a run."""
SETTLING_PROBES = 100
"""So many probes a run, once the drift is over; with `--long` as few as the runs before had."""

SHARDS = 4
"""Parts of the trials, each with its own seed, that run beside each other."""

FOR_A_HUMAN = (
    "sync.deactivate.max_share",
    "no record",
    "the run saw no such car",
    "may be cut there",
    "but the feed reports more",
    "for a car that cannot exist",
)
"""Why a quiet run holds for good: over the cap, nothing listed, no car to try by-id requests on,
no total and a last page that is full, an empty last page, a 200 for every id."""

ENDS = (ExitCode.OK, ExitCode.API, ExitCode.PARTIAL, ExitCode.HELD, ExitCode.SIGTERM)

MOVES = (
    "insert",
    "delete",
    "return",
    "replace",
    "reorder",
    "bump",
    "resort",
    "swap pages",
    "smuggle",
    "cut",
    "change",
    "spoil",
    "mend",
)

CUTS = ("feed-cut", "depth-capped")
"""Lies that hide the end of the feed."""
REPEATING = ("last-page-repeated", "all-at-once")
"""Lies that end a run with exit code 2 where the feed just fills one page."""
LIES = (
    "total-capped",
    "total-of-page",
    "total-too-high",
    "total-too-low",
    "total-moves",
    "total-zero",
    "totals-gone",
    "last-page-from-0",
    "page-size-clamped",
    "page-size-clamped-unsaid",
    "car-twice",
    *REPEATING,
    *CUTS,
)

numbers = st.integers(0, 29)
moves = st.tuples(st.sampled_from((*MOVES, *RIVAL_SQL)), numbers, numbers)
outcomes = st.sampled_from(("answer", "answer", "answer", "late", "fail", "crash", "stop"))
steps = st.builds(Step, st.lists(moves, max_size=2).map(tuple), numbers, outcomes)


class DriftMachine(RuleBasedStateMachine):
    """Moves a feed of up to about 30 cars in pages of 3, and runs carsync."""

    def __init__(self, dsn: str, conn: Connection, folder: Path) -> None:
        super().__init__()
        self._dsn = dsn
        self._conn = conn
        self._checkpoint = folder / "checkpoint.json"
        self._checkpoint.unlink(missing_ok=True)
        for table in ("public.cars", "carsync.rejects", "carsync.absences", "carsync.runs"):
            ask(conn, f"DELETE FROM {table}")

    @initialize(
        cars=st.integers(1, 24),
        second_proof=st.sampled_from(("by_id", "by_id", "by_id", "next_run", "none")),
        by_id_lie=st.sampled_from(("", "", "", "by-id-404", "by-id-404", "by-id-200")),
        has_totals=st.sampled_from((True, True, False)),
        max_probes=st.sampled_from((1, 2, 5, 100)),
        max_share=st.sampled_from((1.0, 1.0, 0.3)),
        lie=st.sampled_from(("", "", "", *LIES)),
    )
    def begin(
        self,
        cars: int,
        second_proof: str,
        by_id_lie: str,
        has_totals: bool,
        max_probes: int,
        max_share: float,
        lie: str,
    ) -> None:
        self._lie = lie
        self._config = self._configure(second_proof, has_totals, max_probes, max_share)
        probes = trials(SETTLING_PROBES, max_probes)
        self._settling = self._configure(second_proof, has_totals, probes, max_share)
        self._mapper = Mapper.load(self._config)
        self._by_id_lie = by_id_lie
        self._is_certain = second_proof == "by_id" and by_id_lie != "by-id-404"
        lies = tuple(name for name in (lie, by_id_lie) if name)
        self._feed = MovingFeed(self._conn, PAGE_SIZE, has_totals, lies)
        self._feed.add(cars)
        load = "INSERT INTO public.cars (id, make, price, data_hash, is_active, source_api) VALUES "
        with self._conn.cursor() as cur:
            rows = self._mapper.map_page(self._feed.whole()).rows
            execute_values(cur, f"{load} %s", [(*row[1:], True, SOURCE) for row in rows])

    def _configure(
        self, second_proof: str, has_totals: bool, max_probes: int, max_share: float
    ) -> Config:
        pagination: dict[str, Any] = {
            "page_size": PAGE_SIZE,
            "stop_after_empty_pages": 2,
            "max_pages": 30,
        }
        if not has_totals:
            pagination |= {"total_pages": None, "total_records": None}
        text = {
            "api": {"base_url": "http://localhost:1", "pagination": pagination},
            "limits": {"retry": {"base_s": 1e-9, "cap_s": 1e-9, "max_attempts": 3}},
            "database": {"dsn": self._dsn, "auto_migrate": False},
            "acceptance": {"max_error_rate": None},
            "mapping": SMALL_MAPPING,
            "sync": {
                "source": SOURCE,
                "max_reject_share": 1.0,
                "plausible": None,  # the machine moves more than any market
                "deactivate": {
                    "second_proof": second_proof,
                    "max_probes": max_probes,
                    "max_share": max_share,
                    "min_seen_share": 0.5,
                },
            },
        }
        return parse(yaml.safe_dump(text), {}, ())

    # ── rules ────────────────────────────────────────────────────────────────

    @rule(happenings=st.lists(moves, min_size=1, max_size=6))
    def move_between_runs(self, happenings: list[Any]) -> None:
        for happening in happenings:
            self._feed.move(happening)

    @rule(script=st.lists(steps, max_size=25))
    def run_while_it_moves(self, script: list[Step]) -> None:
        self._run(Script(deque(script)))

    @rule(
        read=st.integers(1, 7),
        smuggled=st.lists(st.tuples(st.just("smuggle"), st.integers(9, 29), st.integers(0, 9))),
        kept=st.integers(0, 29),
    )
    def run_while_cars_slip_without_a_sign(self, read: int, smuggled: list[Any], kept: int) -> None:
        """Cars move to pages that were read, no total moves, and then the controls go."""
        slip = Step(tuple(smuggled))
        cut = ("cut", kept, 0)
        self._run(Script(deque([*[Step()] * read, slip]), at_proof=(cut,)))

    @rule()
    def run_quietly(self) -> None:
        self._run(Script())

    def teardown(self) -> None:
        """The last drift is over: hold the table against the feed."""
        if hasattr(self, "_feed"):
            for listing in self._feed.listings:
                listing.kind = "good" if listing.kind == "nameless" else listing.kind
            self._settle()

    # ── running and judging ──────────────────────────────────────────────────

    def _settle(self) -> None:
        if self._lie in CUTS:
            return  # what lies behind the cut is never seen, and a human must not approve it
        self._config = self._settling
        for _ in range(QUIET_RUNS):
            report = self._run(Script())
            if report.exit_code is ExitCode.OK:
                return
            if report.exit_code is ExitCode.CONFIG and len(self._feed) == PAGE_SIZE:
                return  # and whether it is all cannot be known
            if report.exit_code is ExitCode.API and self._lie == "page-size-clamped-unsaid":
                return  # the message names api.pagination.page_size
            if report.exit_code is ExitCode.API and self._lie and not self._feed.listings:
                return  # it reports cars, and lists none
            if report.exit_code is ExitCode.PARTIAL and self._feed.drifted:
                continue  # it took up a run that had seen the drift
            assert report.exit_code is ExitCode.HELD, report
            if self._feed.drifted:
                continue  # the same; whoever reads why it held waits for the next run
            if any(words in report.detail for words in FOR_A_HUMAN):
                assert report.run_id is not None
                which = (self._conn, TARGET, SOURCE, report.run_id, 1.0)
                shown = [car.id for car in approval.review(*which).to_approve]
                assert not self._feed.ids & set(shown)
                approval.approve(*which, shown)
        pytest.fail(f"not settled after {QUIET_RUNS} quiet runs: {report}")

    def _run(self, script: Script) -> RunReport:
        feed = self._feed
        active_before = set(self._active())
        await_last_session(self._conn)
        new_engine = partial(DriftingEngine, feed=feed, script=script, conn=self._conn)
        report = sync_in_process(self._config, self._checkpoint, new_engine, stop=script.stop)
        event(f"exit {report.exit_code}")
        may_repeat = self._lie in REPEATING or feed.drifted  # so may pages that were swapped
        repeats = report.exit_code is ExitCode.CONFIG and may_repeat
        assert repeats or report.exit_code in ENDS, report
        active = self._active()
        is_told = self._lie != "feed-cut"  # its totals agree with it: only by-id requests tell
        if self._is_certain or (is_told and not feed.drifted):
            falsely_gone = (active_before & feed.always) - feed.retired - active.keys()
            assert not falsely_gone, report  # I8
        is_whole = self._lie not in CUTS
        if report.exit_code is ExitCode.OK and is_whole and not feed.drifted and not feed.rivalled:
            self._expect_exact(active, active_before)  # I1
        return report

    def _expect_exact(self, active: dict[str, str], active_before: set[str]) -> None:
        truth = {row[1]: row[-1] for row in self._mapper.map_page(self._feed.whole()).rows}
        rejected = {x.id for x in self._feed.listings if x.kind == "unmappable"}
        assert active.keys() - rejected == truth.keys()
        assert {i: h for i, h in active.items() if i not in rejected} == truth
        assert rejected & active_before <= active.keys()

    def _active(self) -> dict[str, str]:
        return dict(ask(self._conn, "SELECT id, data_hash FROM public.cars WHERE is_active"))


@pytest.mark.timeout(trials(600, 36_000))
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_car_listed_throughout_is_deactivated_however_the_feed_moves(
    dsn: str, plain_conn: Connection, tmp_path: Path, shard: int
) -> None:
    machine = partial(DriftMachine, dsn, plain_conn, tmp_path)
    run_state_machine_as_test(
        machine if effort.is_long else seed(shard)(machine),  # type: ignore[arg-type]
        settings=settings(
            max_examples=trials(20, 10_000) // SHARDS,
            stateful_step_count=4,
            database=None,
            report_multiple_bugs=False,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
