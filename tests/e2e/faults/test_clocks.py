"""The wall clock is set by an hour, here or on the server: no hang, no burst, no wrong resume.

libfaketime moves the clock of one command and its children, or of one PostgreSQL, while
it runs; the monotonic clock stays true, as it does when an operator or NTP sets the time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from carsync.demo import postgres
from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import OpenSite
from tests.support.oracle import Oracle
from tests.support.site import SimulatedSite, ask, await_that

HOUR_S = 3600
SHARED_MEMORY = Path("/dev/shm")
LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)

pytestmark = pytest.mark.skipif(
    LIBRARY is None, reason="LIBFAKETIME MISSING: apt-get install libfaketime"
)


class Clock:
    """A clock that is set by writing into a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)
        file.chmod(0o644)

    def set(self, ahead_s: int) -> None:
        """Let the clock be ahead of the true time by so many seconds."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.chmod(0o644)
        new.replace(self._file)

    @property
    def variables(self) -> dict[str, str]:
        """What makes a program and its children go by this clock."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def clock(tmp_path: Path, open_site: OpenSite) -> Iterator[Clock]:
    """A clock; what libfaketime leaves in shared memory for killed processes is cleared up."""
    yield Clock(tmp_path / "clock")
    for left in SHARED_MEMORY.glob("*faketime*_[0-9]*"):
        if not Path("/proc", left.name.rpartition("_")[2]).exists():  # else another test goes by it
            left.unlink(missing_ok=True)


def go_by(clock: Clock, site: SimulatedSite) -> None:
    site.variables.update(clock.variables)


def seconds_ahead(site: SimulatedSite) -> float:
    """Return by how much the checkpoint's clock is ahead of the server's."""
    state = site.checkpoint()
    assert state is not None
    ((ahead_s,),) = ask(
        site.dsn, "SELECT extract(epoch FROM %s - clock_timestamp())", (state.updated_at,)
    )
    return float(ahead_s)


# ── carsync's own clock ──────────────────────────────────────────────────────


@pytest.mark.parametrize("step_s", [pytest.param(HOUR_S, marks=pytest.mark.long), -HOUR_S])
@pytest.mark.long
def test_a_clock_set_in_the_middle_of_a_run(site: SimulatedSite, clock: Clock, step_s: int) -> None:
    go_by(clock, site)
    site.variables["RPS"] = "30"
    site.settings["limits.burst"] = 10
    oracle = Oracle(site)
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    site.await_staged(10)
    clock.set(step_s)
    moved = await_that(
        lambda: (ahead := seconds_ahead(site)) and abs(ahead - step_s) < 60 and ahead,
        "a save by the new clock",
    )
    assert abs(moved - step_s) < 60, "the fault was injected"
    shown = site.status()
    assert (shown["state"], shown["reason"]) == ("running", "")
    assert shown["updated_age_s"] < 30
    site.api.release()
    ended = site.check(running)
    oracle.judge(ended)
    assert ended.report["duration_s"] < 60
    assert site.run("status", "--max-age", "26h").exit_code == 0


@pytest.mark.parametrize("step_s", [HOUR_S, pytest.param(-HOUR_S, marks=pytest.mark.long)])
def test_a_clock_set_between_two_runs_grants_no_second_burst(
    open_site: OpenSite, clock: Clock, step_s: int
) -> None:
    site = open_site(FeedOptions(cars=100))
    go_by(clock, site)
    site.sync()
    assert len(site.api.log) == 6, "at once, for it has no limit"
    site.variables["RPS"] = "0.5"
    site.settings["limits.burst"] = 6
    clock.set(step_s)
    oracle = Oracle(site)
    running = site.start("sync", "--json")
    await_that(lambda: len(site.api.log) >= 8, "two pages of the second run")
    running.process.kill()
    oracle.judge(running.end())  # both runs are judged as one


@pytest.mark.parametrize("step_s", [pytest.param(HOUR_S, marks=pytest.mark.long), -HOUR_S])
@pytest.mark.long
def test_a_clock_set_between_a_killed_run_and_the_next_one(
    site: SimulatedSite, clock: Clock, step_s: int
) -> None:
    go_by(clock, site)
    oracle = Oracle(site)
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    staged = site.await_staged(10)
    running.process.kill()
    running.end()
    site.await_no_process()
    clock.set(step_s)
    assert "fetches only the pages that were not staged" in site.status()["next_step"]
    site.api.release()
    site.api.reset()
    oracle.recover()
    assert sorted(site.api.pages_read()) == sorted(set(range(1, site.pages() + 1)) - staged)


# ── the server's clock ───────────────────────────────────────────────────────


@pytest.fixture
def server(clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL that goes by `clock`."""
    folder = tmp_path
    while folder.owner() == tmp_path.owner() and folder.name.startswith(
        ("pytest", "popen", "test")
    ):
        folder.chmod(0o755)  # the server runs as another user where we are root
        folder = folder.parent
    with postgres.temporary({"fsync": "off"}) as server:
        server.stop()
        with monkeypatch.context() as environment:
            for name, value in clock.variables.items():
                environment.setenv(name, value)
            server.start()
        yield server.dsn


STEPS_S = [(-HOUR_S, -HOUR_S), (-HOUR_S, 0), (-60, HOUR_S), (0, 0)]
"""How far the server's clock is ahead when a run begins, and when it has read some pages.

In the third run these pages seem to be older than the merge before.
"""


def set_server(clock: Clock, dsn: str, ahead_s: int) -> None:
    """Set the clock and wait until the server goes by it."""
    clock.set(ahead_s)

    def error_s() -> float:
        ((epoch_s,),) = ask(dsn, "SELECT extract(epoch FROM clock_timestamp())")
        return abs(float(epoch_s) - time.time() - ahead_s)

    await_that(lambda: error_s() < 10, "the server's new clock")


@pytest.mark.long
def test_a_server_whose_clock_is_set_between_and_during_runs(
    open_site: OpenSite, clock: Clock, server: str
) -> None:
    feed = FeedOptions(cars=300, changed_share=0.1, added_share=0.03, removed_share=0.04)
    site = open_site(feed, dsn=server)
    site.sync()
    for snapshot, (before_s, during_s) in enumerate(STEPS_S, start=1):
        set_server(clock, server, before_s)
        site.api.show(snapshot)
        oracle = Oracle(site, snapshots=(snapshot,))
        site.api.hold(after=7)
        running = site.start("sync", "--json")
        await_that(lambda: len(site.staged_pages()) == 7, "seven pages staged")
        set_server(clock, server, during_s)
        site.api.release()
        ended = site.check(running)
        oracle.judge(ended)
        assert "stale" not in ended.counts
        assert ended.counts["updated"]
        assert ended.counts["deactivated"]
