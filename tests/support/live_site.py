"""A site whose API is the preset's own as it is today, and what its table must hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from carsync.config.parser import parse
from carsync.demo.server import RunningSimulator
from carsync.mapping.mapper import Mapper
from tests.support.folders import ROOT
from tests.support.site import Api, Ended, SimulatedSite, ask

CONFIG = ROOT / "config" / "auctionsapi.yaml"
NOON_S = 1_768_478_400.0
"""2026-01-15, 12:00 UTC."""
DEADLINE_S = 1800.0
"""A full run of 200,000 cars at 1 request/s takes four minutes."""
_MAPPED_AT_ONCE = 1000
_TARGETS = ("max_minutes", "min_pages_per_second", "min_rows_per_second", "max_error_rate")


class LiveApi(Api):
    """The simulator, whose tombstones the test asks for."""

    def final_bids(self) -> dict[int, float | None]:
        """Return for how much each car was sold that left, by its last tombstone."""
        tombstones = self._changes.removed({})
        records = tombstones.records(0, len(tombstones))
        return {record["car_id"]: record["final_bid"]["value"] for record in records}


class LiveSite(SimulatedSite):
    """The installed command with the preset's own configuration; `asked` are its last requests.

    `settings` are those of `CONFIG`, but for a limit that a test would have to wait for.
    """

    api: LiveApi

    def __init__(self, server: RunningSimulator, api: LiveApi, dsn: str, folder: Path) -> None:
        super().__init__(server, api, dsn, folder)
        del self.variables["PAGE_SIZE"], self.variables["RPS"], self.variables["CONCURRENCY"]
        rate = api.options.rate
        self.settings["limits.requests_per_second"] = rate or 10_000
        self.settings["acceptance"] = dict.fromkeys(_TARGETS)  # a busy machine is slow
        self._live_mapper = Mapper.load(
            parse(CONFIG.read_text(), self.variables, self.options({})[1::2])
        )
        self._hashes: dict[int, tuple[int, str]] = {}
        self.asked: Counter[str] = Counter()

    def sync(self, *arguments: str, expect: int = 0, **settings: Any) -> Ended:
        """Run `carsync sync --json`, and count its requests by kind."""
        self.api.reset()
        started = self.start("sync", "--json", "--config", str(CONFIG), *arguments, **settings)
        ended = self.check(started, expect, within_s=DEADLINE_S)
        log = list(self.api.log)
        self.asked = Counter(path.partition("?")[0].split("/")[2] for _, path, _ in log)
        return ended

    def pass_hours(self, hours: int = 1, *, at_once: bool = False) -> None:
        """Let hours go by, on the API's clock and on the database server's as runs noted it."""
        self.api.timeline.advance(hours, at_once=at_once)
        query = "UPDATE carsync.runs SET api_clock_at = api_clock_at - interval '1 hour' * %s"
        ask(self.dsn, query, (hours,))

    def due(self) -> dict[str, str]:
        """Return what the API lists now, mapped in this process: id → data_hash."""
        shown = self.api.snapshot
        cars = dict(zip(shown.ids, shown.versions, strict=True))
        known = self._hashes
        new = [i for i, version in cars.items() if i not in known or known[i][0] != version]
        for start in range(0, len(new), _MAPPED_AT_ONCE):
            ids = new[start : start + _MAPPED_AT_ONCE]
            known |= {i: (cars[i], row_hash) for i, row_hash in self._map(ids)}
        return {str(i): known[i][1] for i in cars}

    def _map(self, ids: Iterable[int]) -> Iterable[tuple[int, str]]:
        listing = self.api.listing()
        body = msgspec.json.encode({"data": [listing.record(str(i)) for i in ids]})
        page = self._live_mapper.map_page(body)
        assert not page.rejects
        return [(int(row[1]), row[-1]) for row in page.rows]

    def assert_in_step(self) -> None:
        """Hold the table against the API: active ids and hashes."""
        active, due = self.active(), self.due()
        assert active.keys() == due.keys(), (
            f"{len(active.keys() - due.keys())} cars too many, "
            f"{len(due.keys() - active.keys())} missing"
        )
        assert active == due

    def assert_bids(self) -> None:
        """Hold what sold cars went for against their tombstones."""
        known = dict(ask(self.dsn, "SELECT id, final_bid FROM cars WHERE NOT is_active"))
        left = {str(i): bid for i, bid in self.api.final_bids().items()}
        assert known == {car_id: left.get(car_id) for car_id in known}
