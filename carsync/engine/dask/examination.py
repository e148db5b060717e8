"""Looks at a cluster for `carsync check`: its scheduler and each of its workers."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from types import TracebackType
from typing import Any

import msgspec
from distributed import Scheduler, Worker

from carsync.config.sections import Config
from carsync.engine.base import GivenFeed
from carsync.engine.cluster_tls import read_own
from carsync.engine.cluster_view import (
    ApiView,
    CertificateView,
    DatabaseView,
    Examined,
    SchedulerView,
    WorkerView,
)
from carsync.engine.dask.gate_keeper import GateKeeper, Job, Place
from carsync.engine.dask.offers import EXTRA, Offer, versions
from carsync.engine.dask.security import reach_scheduler
from carsync.engine.dask.task import runs_of
from carsync.errors import CarsyncError, PageError
from carsync.postgres import sql
from carsync.postgres.connection import connect
from carsync.source.single_page import Pacer, ask_page

REACH_S = 10.0
EXAMINE_S = 45.0
"""A worker that has not answered by then is told as silent."""
_CLOSE_S = 5.0
_DATABASE_S = 10.0


class Examination:
    """A connection to the scheduler that looks and changes nothing; a context manager.

    Raises `OSError` where the scheduler does not answer in time.
    """

    def __init__(self, given: GivenFeed) -> None:
        self._label = given.config.engine.label
        self._offer = Offer.of(given)
        self._place = (self._offer.place, self._label)
        engine = given.config.engine
        for name in ("distributed.core", "distributed.comm", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the findings tell it
        self._client = reach_scheduler(engine, REACH_S, "carsync check")

    def __enter__(self) -> Examination:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError, RuntimeError):
            self._client.close(timeout=_CLOSE_S)

    def scheduler(self) -> SchedulerView:
        """Ask the scheduler about itself."""
        begun_s = time.monotonic()
        told = self._call("versions")
        took_s = time.monotonic() - begun_s
        theirs = {
            "carsync": "",
            "distributed": str(told["packages"].get("distributed")),
            "python": ".".join(str(told["host"]["python"]).split(".")[:2]),
        }
        try:
            ask = partial(self._client.run_on_scheduler, describe_scheduler, self._place)
            own = msgspec.convert(self._sync(ask, REACH_S), SchedulerView)
        except OSError:
            raise
        except Exception:  # carsync is not installed there, or is another one
            return SchedulerView(theirs, took_s)
        return msgspec.structs.replace(own, took_s=took_s)

    def workers(self) -> list[WorkerView]:
        """Return the workers in the order of their names, each fit or not."""
        told = self._call("identity", n_workers=-1)
        found = [self._view(address, each) for address, each in told["workers"].items()]
        return sorted(found, key=lambda each: each.name)

    def _view(self, address: str, told: dict[str, Any]) -> WorkerView:
        try:
            offers = msgspec.convert(told.get(EXTRA, []), list[Offer])
        except msgspec.ValidationError:
            misfit = "it has another version of carsync"
            return WorkerView(str(told["name"]), address, told["nthreads"], misfit)
        misfits = [self._offer.misfit(offer, self._label) for offer in offers]
        near = [
            words
            for offer, words in zip(offers, misfits, strict=True)
            if offer.place == self._offer.place
        ]
        misfit = "" if "" in misfits else (near or misfits or ["it is no worker of carsync"])[0]
        is_others = bool(offers) and (not near or misfit.startswith("it has no label"))
        return WorkerView(str(told["name"]), address, told["nthreads"], misfit, is_others)

    def clock(self, worker: WorkerView) -> Examined:
        """Compare the worker's wall clock with ours."""
        begun_s, at_s = time.monotonic(), time.time()
        told = self._ask(worker, time.time, REACH_S)
        if isinstance(told, str):
            return Examined(told)
        half_s = (time.monotonic() - begun_s) / 2
        return Examined("", told - (at_s + half_s), half_s)

    def look_out(self, worker: WorkerView, role: str, *, asks_api: bool) -> Examined:
        """Let a fit worker try the API, the database and its certificate, as it would in a run.

        `role` is the run's own role in the database, empty where that is not known.
        """
        job = Job("check", 0, "", (), {}, self._offer, self._label)
        told = self._ask(worker, examine_worker, EXAMINE_S, pickle.dumps(job), role, asks_api)
        return Examined(told) if isinstance(told, str) else msgspec.convert(told, Examined)

    def _ask(self, worker: WorkerView, function: Any, within_s: float, *args: Any) -> Any:
        """Run a function on a worker; return its answer, or in words why there is none."""
        try:
            only = [worker.address]
            ask = partial(self._client.run, function, *args, workers=only, on_error="return")
            answer = self._sync(ask, within_s)[worker.address]
        except TimeoutError:
            return f"no answer within {within_s:g} s"
        except (OSError, KeyError):
            return "it is not reached from the scheduler"
        return f"it failed ({type(answer).__name__})" if isinstance(answer, Exception) else answer

    def _call(self, handler: str, **arguments: Any) -> Any:
        return self._sync(partial(getattr(self._client.scheduler, handler), **arguments), REACH_S)

    def _sync(self, ask: Callable[[], Any], within_s: float) -> Any:
        async def answer() -> Any:
            return await ask()  # on the client's own loop, where Dask's calls can be awaited

        return self._client.sync(answer, callback_timeout=within_s)


def describe_scheduler(place: Place, dask_scheduler: Scheduler) -> object:
    """Return the `SchedulerView` of the scheduler that this runs on, in built-in types."""
    keeper = dask_scheduler.plugins.get(GateKeeper.name)
    view = SchedulerView(
        versions(),
        allowed_failures=dask_scheduler.allowed_failures,
        worker_ttl_s=dask_scheduler.worker_ttl or 0.0,
        is_busy=isinstance(keeper, GateKeeper) and keeper.is_busy(place),
    )
    return msgspec.to_builtins(view)


async def examine_worker(job: bytes, role: str, asks_api: bool, dask_worker: Worker) -> object:
    """Return the worker's `Examined` in built-in types; runs beside its leases."""
    config = runs_of(dask_worker).config_of(pickle.loads(job))
    return msgspec.to_builtins(await asyncio.to_thread(_examine, config, role, asks_api))


def _examine(config: Config, role: str, asks_api: bool) -> Examined:
    return Examined(
        api=_try_api(config) if asks_api else None,
        database=try_database(config, role),
        certificate=_try_certificate(config),
    )


def _try_api(config: Config) -> ApiView:
    try:
        answer = ask_page(config.api, pacer=Pacer(config.limits))
    except PageError as exc:
        return ApiView(exc.problem, exc.hint)
    return ApiView(took_s=answer.latency_s)


def try_database(config: Config, role: str) -> DatabaseView:
    """Connect as a writer does, and ask for its rights; write nothing."""
    try:
        opened = connect(
            config.require_dsn(),
            application_name="carsync check",
            connect_timeout_s=min(config.database.connect_timeout_s, _DATABASE_S),
            lock_timeout_s=_DATABASE_S,
            statement_timeout_s=_DATABASE_S,
        )
        with closing(opened):
            query = sql.load("doctor/describe_writer")
            ((own, oid, started_s, may_stage, free),) = sql.fetch(
                opened, "asking for rights", query, {"role": role}
            )
    except CarsyncError as exc:
        return DatabaseView(exc.problem, exc.hint)
    return DatabaseView("", "", own, (oid, started_s), bool(may_stage), free)


def _try_certificate(config: Config) -> CertificateView | None:
    engine = config.engine
    if not (engine.scheduler or "").startswith("tls:"):
        return None
    try:
        return read_own(engine.tls)
    except OSError as exc:
        return CertificateView(f"its files cannot be used ({exc.strerror or exc})")
