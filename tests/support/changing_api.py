"""A small API that tells what changed since a time, by a clock of its own, over real HTTP.

`ChangeSite` runs whole syncs against it: only the worker processes are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import yaml

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.model import Column, RunOptions
from carsync.postgres.wait import Connection
from carsync.run.report import RunReport
from carsync.run.signals import StopSignal
from carsync.state import runs
from tests.conftest import ask
from tests.support.configs import SMALL_MAPPING
from tests.support.fake_api import Arrival, Reply, ScriptedApi
from tests.support.in_process_engine import CuttableEngine, await_last_session, sync_in_process
from tests.support.merge_rig import SOURCE, TARGET
from tests.support.site import POLL_S


@dataclass
class ListedCar:
    """A car of the API, which `changed_at` this time; it is `shown_from` then on."""

    id: int
    price: int
    changed_at: datetime
    shown_from: datetime | None = None
    make: str | None = "Kia"

    def record(self) -> dict[str, Any]:
        """Give the record."""
        return {"id": self.id, "make": self.make, "price": self.price}


@dataclass
class ChangingApi(ScriptedApi):
    """Lists cars by id, `size` to a page; with `minutes` those changed since, the newest last.

    `ahead` is by how much its clock differs from the machine's; it sends no Date where that is
    None. `ignores_window`: it lists all whatever it is asked.
    """

    size: int = 3
    ahead: timedelta | None = timedelta()
    cars: dict[int, ListedCar] = field(default_factory=dict)
    ignores_window: bool = False
    is_down: Callable[[int], bool] = lambda _: False  # of a page
    holds: Callable[[int], bool] = lambda _: False  # the answer of a page is withheld so long

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def now(self) -> datetime:
        """Return the API's time."""
        return datetime.now(UTC) + (self.ahead or timedelta())

    def change(self, *ids: int, price: int = 0, ago: timedelta = timedelta(), **more: Any) -> None:
        """Give cars another price, or list new ones, at one moment; 0: the next one."""
        at = (self.now - ago).replace(microsecond=0)
        for i in ids:
            before = self.cars[i].price if i in self.cars else 0
            self.cars[i] = ListedCar(i, price or before + 1, at, **more)

    def prices(self) -> dict[str, int]:
        """Return the truth."""
        return {str(car.id): car.price for car in self.cars.values() if car.make}

    def answer(self, arrival: Arrival) -> Reply:
        """Answer a page."""
        self.arrivals.append(arrival)
        page = arrival.page or 1
        if self.is_down(page):
            return Reply(500)
        while self.holds(page):
            self._leaving.wait(POLL_S)
        shown = [c for c in self.cars.values() if c.shown_from is None or c.shown_from <= self.now]
        minutes = arrival.query.get("minutes")
        shown.sort(key=lambda car: car.id)
        if minutes is not None and not self.ignores_window:
            since = self.now - timedelta(minutes=int(minutes))
            shown = sorted((c for c in shown if c.changed_at >= since), key=_age)
        records = [car.record() for car in shown[(page - 1) * self.size : page * self.size]]
        meta = {"total": len(shown), "last_page": max(1, -(-len(shown) // self.size))}
        date = {} if self.ahead is None else {"Date": format_datetime(self.now, usegmt=True)}
        return Reply(body={"data": records, "meta": meta}, headers=date)

    def asked(self) -> list[tuple[int, str | None]]:
        """Return page and window of each request since this was asked last."""
        found = [(a.page or 1, a.query.get("minutes")) for a in self.arrivals]
        self.arrivals.clear()
        return found


def _age(car: ListedCar) -> tuple[datetime, int]:
    return car.changed_at, car.id


class ChangeSite:
    """The API, a table, and runs against them."""

    def __init__(self, api: Any, dsn: str, conn: Connection, folder: Path) -> None:
        self.api = api
        self.conn = conn
        self.dsn = dsn
        self._checkpoint = folder / "checkpoint.json"

    def config(self, **changed: Any) -> Config:
        """Return the configuration; `changed` holds dotted keys with __ for the dot."""
        text: dict[str, Any] = {
            "api": {
                "base_url": self.api.base_url,
                "auth": {"type": "none"},
                "pagination": {"page_size": getattr(self.api, "size", 100)},
                "window": {"param": "minutes", "overlap": "1m", "max": "72h"},
            },
            "limits": {
                "requests_per_second": 0,
                "retry": {"base_s": 1e-9, "cap_s": 1e-9, "max_attempts": 1},
            },
            "database": {"dsn": self.dsn, "writers": 1},
            "acceptance": {"max_error_rate": None},
            "mapping": deepcopy(SMALL_MAPPING),
            "sync": {"source": SOURCE, "plausible": None, "deactivate": {"max_share": 1.0}},
        }
        for key, value in changed.items():
            section, *names = key.split("__")
            at = text[section]
            for name in names[:-1]:
                at = at.setdefault(name, {})
            at[names[-1]] = value
        return parse(yaml.safe_dump(text), {}, ())

    def sync(
        self,
        mode: Any = "incremental",
        *,
        stop_after: int | None = None,
        options: dict[str, Any] | None = None,
        **changed: Any,
    ) -> RunReport:
        """Run a sync to its end, or until so many pages are staged."""
        await_last_session(self.conn)
        stop = StopSignal()

        def new_engine(
            config: Config, run_id: int, token: str, columns: tuple[Column, ...]
        ) -> CuttableEngine:
            key = (config, run_id, token, columns, self.conn)
            return CuttableEngine(*key, stop=stop, after=stop_after)

        how = RunOptions(mode=mode, **(options or {}))
        config = self.config(**changed)
        return sync_in_process(config, self._checkpoint, new_engine, stop=stop, options=how)

    def prices(self) -> dict[str, int]:
        """Return the prices of the active cars."""
        query = "SELECT id, price::int FROM public.cars WHERE is_active"
        return dict(ask(self.conn, query))

    def watermark(self) -> int | None:
        """Return the run since which the next incremental one asks."""
        run = runs.find_watermark(self.conn, TARGET, SOURCE)
        return run.run_id if run else None

    def pass_time(self, time: timedelta) -> None:
        """Let so much time pass: all that is on record, and all changes, lie further back."""
        interval = f"'{time.total_seconds()} seconds'::interval"
        for statement in (
            "UPDATE public.cars SET created_at = created_at - {0}, updated_at = updated_at - {0}, "
            "last_synced_at = last_synced_at - {0}",
            "UPDATE carsync.runs SET merged_at = merged_at - {0}, started_at = started_at - {0}, "
            "api_clock = api_clock - {0}, api_clock_at = api_clock_at - {0}, "
            "window_from = window_from - {0}",
        ):
            ask(self.conn, statement.format(interval))
        for car in self.api.cars.values():
            car.changed_at -= time
