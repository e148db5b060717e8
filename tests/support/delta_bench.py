"""Sites whose runs ask for changes only, and what must hold after faults of such runs.

Of the cars that leave the API, every third one leaves without a tombstone: a run of changes
alone cannot know of it, and must leave it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from carsync.demo.changes.answers import ChangeAnswers, TombstoneListing
from carsync.demo.feed import FeedOptions
from carsync.demo.simulator import SimulatorOptions
from tests.support.configs import REMOVALS
from tests.support.fault_bench import Bench
from tests.support.oracle import Oracle
from tests.support.site import Api, Ended, SimulatedSite, ask

PAGE_SIZE = 5
FEED = FeedOptions(
    cars=60, changed_share=0.3, added_share=0.1, removed_share=0.1, relisted_share=0.05
)
"""About 25 changes an hour: five pages of cars, and one or two of tombstones."""
QUIET_EVERY = 3
SETTINGS: dict[str, Any] = {
    "api.window": {"param": "minutes", "overlap": "1m"},
    "api.removals": REMOVALS,
    "sync.mode": "incremental",
    "sync.deactivate.max_share": 1.0,
    "sync.plausible": None,
}
_LAST = "SELECT mode, resumed_at IS NOT NULL FROM carsync.runs "
_LAST += "ORDER BY coalesce(resumed_at, started_at) DESC LIMIT 1"


class _QuietAnswers(ChangeAnswers):
    """Tells nothing of some cars that left."""

    def removed(self, query: Mapping[str, str]) -> TombstoneListing:
        """Return the tombstones that a request wants, without those of quiet cars."""
        found = super().removed(query)
        told = [each for each in found.tombstones if each.car_id % QUIET_EVERY]
        return replace(found, tombstones=told)


class DeltaApi(Api):
    """The simulator, which keeps quiet about some cars that left; tombstones are never held."""

    never_held = (*Api.never_held, "/api/archived-lots")

    def __init__(self, options: SimulatorOptions) -> None:
        super().__init__(options)
        self._changes = _QuietAnswers(self.feed, self.timeline, options.window)
        self.lie(*options.lies)

    def pages_read(self) -> list[int]:
        """Return `pages_asked` without the page behind the last one of the last hour's changes."""
        cars = len(self._changes.listed({self.options.window.param: "62"}).ids)
        return [page for page in self.pages_asked() if page <= -(-cars // PAGE_SIZE)]

    def told(self) -> set[str]:
        """Return the ids of all cars that have a tombstone."""
        return {str(each.car_id) for each in self._changes.removed({}).tombstones}


class DeltaOracle(Oracle):
    """Judges runs of changes alone, and runs of the whole feed between them."""

    _site: SimulatedSite

    def __init__(self, site: SimulatedSite, *, snapshots: tuple[int, ...]) -> None:
        super().__init__(site, snapshots=snapshots)
        self._known = site.active()
        self._gone_before = site.inactive()

    def recover(self, *arguments: str) -> Ended:
        """Run until a run has asked for all of its window in one go; then hold it against I5."""
        ended = super().recover(*arguments)
        if self._last() == ("incremental", True):
            ended = super().recover(*arguments)
            assert self._last() == ("incremental", False)
        return ended

    def judge_drifted(self) -> None:
        """Hold a run against I8 alone that others came before, or whose feed moved meanwhile."""
        self._site.await_no_process()
        self._expect_nobody_falsely_gone()
        found, told = self._site.active(), self._told()
        gone = self._known.keys() - found.keys()
        if self._last()[0] == "incremental":
            assert gone <= told, f"nobody told of {gone - told}"
        self._known = found

    def expect_truth(self) -> None:
        """Hold the table against the API after a run of the whole feed."""
        self._site.sync("--mode", "full", "--fresh")
        assert self._site.active() == self.truth

    def _last(self) -> tuple[Any, ...]:
        return ask(self._site.dsn, _LAST)[0]

    def _expect_active(self, cars: Mapping[str, str], rejected: set[str]) -> None:
        """Hold a merged run against I1 and I8: nobody goes by absence from a delta."""
        mode, is_resumed = self._last()
        if mode == "full":
            super()._expect_active(cars, rejected)
        else:
            found, told = self._site.active(), self._told()
            absent = {car: known for car, known in self._known.items() if car not in cars}
            stayed = {car: known for car, known in absent.items() if car not in told}
            if is_resumed:  # a car with a tombstone may be where nobody read
                stayed |= {car: known for car, known in absent.items() if car in found}
            super()._expect_active({**cars, **stayed}, rejected)
        self._known = self._site.active()

    def _expect_nobody_falsely_gone(self) -> None:
        """Hold all against I8 but those that were inactive before, and are listed again since."""
        listed = set.intersection(*(set(self._site.truth(n)) for n in self._snapshots))
        assert not listed & (self._site.inactive() - self._gone_before)
        self._gone_before &= self._site.inactive()

    def _told(self) -> set[str]:
        assert isinstance(self._site.api, DeltaApi)
        return self._site.api.told()


class DeltaBench(Bench):
    """A bench whose trials are of incremental runs, each an hour of the API's clock later."""

    def next_oracle(self) -> DeltaOracle:
        """Let an hour go by; return the oracle for the runs that follow."""
        self._settle()
        if self._has_failed:
            self.site.sync("--mode", "full", "--fresh")
        return self.pass_hour()

    @property
    def _has_failed(self) -> bool:
        """Whether a trial left cars that only a run of the whole feed takes out."""
        api = self.site.api
        assert isinstance(api, DeltaApi)
        listed = {str(car_id) for car_id in api.snapshot.ids}
        return bool((self.site.active().keys() - listed) & api.told())

    def pass_hour(self) -> DeltaOracle:
        """Let an hour go by, whatever the last runs left behind."""
        pass_hour(self.site)
        self.site.api.reset()
        return DeltaOracle(self.site, snapshots=(self.site.api.snapshot.number,))


def pass_hour(site: SimulatedSite, *, of_running: bool = True) -> None:
    """Let an hour go by on the API's clock, and on the server's as runs noted it.

    `of_running`: also where an unfinished one did.
    """
    site.api.timeline.advance(1)
    noted = "UPDATE carsync.runs SET api_clock_at = api_clock_at - interval '1 hour' "
    ask(site.dsn, f"{noted} WHERE merged_at IS NOT NULL OR %s", (of_running,))


def use_changes(site: SimulatedSite) -> None:
    """Let the site's runs ask for changes only, and for tombstones."""
    site.settings |= SETTINGS
    site.variables["PAGE_SIZE"] = str(PAGE_SIZE)
