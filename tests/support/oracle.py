"""The oracle: what must hold after any fault, whatever it was (I1 to I9).

I1  exit 0: the table's active ids and hashes equal the API's truth, declared rejects aside
I2  any other exit: the table is exactly as before the merge or exactly as after it
I3  no process of the run 5 s after its end
I4  no session and no lock of carsync in the database 15 s after its end
I5  the next clean run reaches I1
I6  the API key and the database password are written nowhere
I7  the API never saw more than burst + rate × t requests
I8  no car that the API listed throughout the run is inactive; nobody goes by absence from a
    delta (`delta_bench.py`)
I9  the time from which the next incremental run asks moves only by a merge that made I1 true
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import psutil
from psycopg2 import extensions

from tests.support import effort
from tests.support.quick_site import sync_here
from tests.support.site import (
    Ended,
    Running,
    SimulatedSite,
    ask,
    await_that,
    sessions_kept,
    worst_burst,
)

KEY = "canary-key-7f3a"
PASSWORD = "canary-password-91bc"
SESSIONS_GONE_S = 15.0

_LOCKS = (
    "SELECT locktype, mode FROM pg_locks WHERE locktype = 'advisory' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Oracle:
    """Judges the runs of one site whose API lists `snapshots` (in order) while they go on.

    Made before the fault is set up: it gives the site canaries for secrets and remembers
    the table as it is.
    """

    def __init__(self, site: SimulatedSite, *, snapshots: tuple[int, ...] = (0,)) -> None:
        self._site = site
        self._snapshots = snapshots
        site.variables["DATABASE_URL"] = extensions.make_dsn(
            site.variables["DATABASE_URL"], password=PASSWORD
        )
        self._before = site.rows()
        self._marks = self._watermarks()

    @property
    def truth(self) -> dict[str, str]:
        """The cars that the API lists now: id → data_hash."""
        return self._site.truth(self._snapshots[-1])

    @sessions_kept()
    def judge(
        self,
        ended: Ended,
        *,
        after: Mapping[str, str] | None = None,
        rejected: Iterable[str] = (),
    ) -> None:
        """Hold a run that has ended against I1 to I4 and I6 to I9.

        `after`: the active cars that a merge of this run makes, where that is not the
        API's truth; `rejected`: ids whose records are declared rejects.
        """
        site = self._site
        site.await_no_process()  # I3
        await_that(
            lambda: not site.sessions() and not ask(site.dsn, _LOCKS),
            "the end of all sessions and locks",
            SESSIONS_GONE_S,
        )  # I4
        marks = self._watermarks()
        if ended.exit_code == 0 or self._is_merged() or marks != self._marks:  # I9
            self._expect_active(self.truth if after is None else after, set(rejected))  # I1, I2
            self._before = site.rows()  # for the next run, which may be killed before its merge
            self._marks = marks
        else:
            assert site.rows() == self._before, f"exit {ended.exit_code} changed the table"  # I2
        self._expect_nobody_falsely_gone()
        self._expect_politeness()
        assert_no_canary([ended.out, ended.err])
        self.expect_no_canary_at_rest()

    def recover(self, *arguments: str) -> Ended:
        """Run again, the fault being over, and hold the table against the truth: I5.

        That run needs no processes of its own, unless all is tried.
        """
        site = self._site
        is_unlimited = site.variables["RPS"] == "0" and not effort.is_long
        ended = sync_here(site, *arguments) if is_unlimited else site.sync(*arguments)
        self.judge(ended)
        return ended

    def recover_from(self, ended: Ended) -> None:
        """Do as `recover` after a run that failed; one that ended with 0 needs no other.

        For a bench, whose next trial begins with a run over what this one left.
        """
        if ended.exit_code:
            self.recover()

    def look_at(self, running: Running) -> None:
        """Hold the command lines of all processes of a run at work against I6."""
        parent = psutil.Process(running.process.pid)
        lines = [" ".join(parent.cmdline())]
        for child in parent.children(recursive=True):
            with suppress(psutil.Error):  # it may just have ended
                lines.append(" ".join(child.cmdline()))
        assert "sync" in lines[0]
        assert_no_canary(lines)

    def expect_no_canary_at_rest(self) -> None:
        """I6 for what outlives a run: files and tables."""
        files = [path for path in self._site.folder.rglob("*") if path.is_file()]
        assert_no_canary(path.read_bytes().decode("utf-8", "replace") for path in files)
        assert_no_canary(database_texts(self._site.dsn))

    def _is_merged(self) -> bool:
        """Say whether the newest run's merge was committed and changed the table."""
        if self._site.rows() == self._before:
            return False
        newest = "SELECT counts IS NOT NULL FROM carsync.runs "
        newest += "ORDER BY coalesce(resumed_at, started_at) DESC LIMIT 1"
        return ask(self._site.dsn, newest) == [(True,)]

    def _watermarks(self) -> list[tuple[Any, ...]]:
        """Return the runs from which an incremental run may ask; none before the first run."""
        if not ask(self._site.dsn, "SELECT 1 WHERE to_regclass('carsync.runs') IS NOT NULL"):
            return []
        return ask(self._site.dsn, "SELECT run_id FROM carsync.runs WHERE is_watermark ORDER BY 1")

    def _expect_active(self, cars: Mapping[str, str], rejected: set[str]) -> None:
        found = {i: h for i, h in self._site.active().items() if i not in rejected}
        expected = {i: h for i, h in cars.items() if i not in rejected}
        assert found.keys() == expected.keys()
        assert found == expected

    def _expect_nobody_falsely_gone(self) -> None:
        listed = set.intersection(*(set(self._site.truth(n)) for n in self._snapshots))
        assert not listed & self._site.inactive()  # I8

    def _expect_politeness(self) -> None:
        limits = self._site.config().limits
        rate = limits.requests_per_second
        if rate and self._site.api.log:
            burst = limits.burst or max(1, round(2 * rate))
            worst = worst_burst([arrived_s for arrived_s, _, _ in self._site.api.log], rate)
            assert worst <= burst, f"{worst:.2f} requests at once, allowed {burst}"  # I7


def assert_no_canary(texts: Iterable[str]) -> None:
    """Hold texts against I6."""
    for text in texts:
        assert KEY not in text
        assert PASSWORD not in text


@sessions_kept()
def database_texts(dsn: str) -> list[str]:
    """Return every row of every table of carsync's schema and of the target, as text."""
    named = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
    named += "WHERE schemaname IN ('carsync', 'public')"
    return [
        text
        for (table,) in ask(dsn, named)
        for (text,) in ask(dsn, f"SELECT t::text FROM {table} AS t")
    ]
