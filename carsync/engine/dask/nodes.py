"""The standing processes of a cluster: the scheduler, and workers with their nannies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
import warnings
from urllib.parse import urlsplit

import dask
from distributed import Nanny, Scheduler, Status

from carsync import timing
from carsync.config.sections import EngineRules
from carsync.config.validation import is_loopback
from carsync.engine.dask import logs
from carsync.engine.dask.gate_keeper import GateKeeper
from carsync.engine.dask.security import security_of
from carsync.engine.dask.task import FeedsPlugin
from carsync.errors import ConfigError

log = logging.getLogger(__name__)

WORKER_TTL_S = 30
"""A worker that the scheduler has not heard for this long is gone, and its leases are lost."""
_AGAIN_S = (1.0, 2.0, 5.0, 10.0)
_STEADY_S = 60.0
"""A worker that was at work for this long tries again at once; the next waits are longer."""

_SETTINGS = {
    # carsync's own retry rule decides what follows a lost worker.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-ttl": f"{WORKER_TTL_S}s",
    "distributed.scheduler.work-stealing": False,  # leases are small; what is moved is asked twice
    "distributed.comm.timeouts.connect": "10s",
    "distributed.comm.timeouts.tcp": "20s",
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.daemon": True,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.low-level-log-length": 100,
    "distributed.scheduler.http.routes": ["distributed.http.health"],
    "distributed.worker.http.routes": ["distributed.http.health"],
}


def configure() -> None:
    """Set what a cluster of carsync needs of Dask, in this process and its children."""
    dask.config.set(_SETTINGS)
    logs.take_over()


def run_scheduler(engine: EngineRules, listen: str) -> None:
    """Run the scheduler until SIGTERM or SIGINT; `listen` is its address, e.g. tls://:8786."""
    configure()
    asyncio.run(_run_scheduler(engine, listen))


async def _run_scheduler(engine: EngineRules, listen: str) -> None:
    stopped = _stop_signal()
    async with await _start_scheduler(engine, listen) as scheduler:
        log.info("the scheduler listens at %s", scheduler.address, extra={"event": "scheduler_up"})
        await stopped.wait()
    log.info("the scheduler ends", extra={"event": "scheduler_down"})


async def _start_scheduler(engine: EngineRules, listen: str) -> Scheduler:
    security = security_of(engine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that another scheduler here has the port of /health
        try:
            scheduler: Scheduler = await Scheduler(
                host=listen, security=security, dashboard=False, plugins=[GateKeeper()]
            )
        except (OSError, RuntimeError, ValueError) as exc:
            raise ConfigError(
                f"the scheduler cannot listen at {listen}",
                detail=_cause(exc),
                hint="another program may have the port (ss -ltnp); --listen names another address",
            ) from None
    return scheduler


def run_worker(engine: EngineRules, plugin: FeedsPlugin, *, processes: int, threads: int) -> None:
    """Run worker processes until SIGTERM or SIGINT, reconnecting for ever.

    `engine.scheduler` is where they work.
    """
    configure()
    asyncio.run(_run_workers(engine, plugin, processes, threads))


async def _run_workers(
    engine: EngineRules, plugin: FeedsPlugin, processes: int, threads: int
) -> None:
    stopped = _stop_signal()
    await asyncio.gather(
        *(_run_nanny(engine, plugin, number, threads, stopped) for number in range(processes))
    )


async def _run_nanny(
    engine: EngineRules, plugin: FeedsPlugin, number: int, threads: int, stopped: asyncio.Event
) -> None:
    """Keep one worker process at work; its nanny replaces it where it dies."""
    name = f"{socket.gethostname()}-{os.getpid()}-{number + 1}"
    failures = 0
    while not stopped.is_set():
        began_s = time.monotonic()
        problem = await _work(engine, plugin, name, threads, stopped)
        if stopped.is_set():
            break
        failures = 0 if time.monotonic() - began_s > _STEADY_S else failures
        wait_s = _AGAIN_S[min(failures, len(_AGAIN_S) - 1)]
        failures += 1
        log.warning(
            "worker %s is not at work for %s (%s): again in %.0f s",
            *(name, engine.scheduler, problem, wait_s),
            extra={"event": "scheduler_away", "worker": name, "wait_s": wait_s},
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), wait_s)
    log.info("worker %s ends", name, extra={"event": "worker_down", "worker": name})


async def _work(
    engine: EngineRules, plugin: FeedsPlugin, name: str, threads: int, stopped: asyncio.Event
) -> str:
    """Keep a worker process at work until the scheduler is lost; return why that was."""
    try:
        nanny = Nanny(
            engine.scheduler,
            nthreads=threads,
            name=name,
            host=own_host(engine),
            security=security_of(engine),
            memory_limit=0,  # systemd or Kubernetes set the limit; nothing is spilled
            dashboard=False,
            plugins=[plugin],
            death_timeout=timing.current().worker_boot_s,
        )
        ending = asyncio.ensure_future(_end_when(stopped, nanny))
        try:
            async with nanny:
                log.info(
                    "worker %s is at work for %s",
                    *(name, engine.scheduler),
                    extra={"event": "worker_up", "worker": name},
                )
                await nanny.finished()
        finally:
            ending.cancel()
    except Exception as exc:  # Dask raises all kinds where a scheduler goes away meanwhile
        return _cause(exc)
    return "the scheduler is gone, or let it go"


async def _end_when(stopped: asyncio.Event, nanny: Nanny) -> None:
    """End a worker process and then its nanny, or the search for the scheduler.

    A worker that loses its scheduler at the same time first tells the nanny, and would wait ten
    seconds for one that listens no more.
    """
    await stopped.wait()
    if nanny.status is Status.running:
        nanny.close_gracefully()  # starts no other process, and ends with this one
        await nanny.kill()
    else:
        await nanny.close()


def own_host(engine: EngineRules) -> str | None:
    """Return at which address alone a worker listens where the scheduler is on loopback.

    There need be no TLS then, and who reaches a worker can run any program on it.
    """
    host = urlsplit(engine.scheduler or "").hostname or ""
    if not is_loopback(host):
        return None
    return "[::1]" if ":" in host else "127.0.0.1"


def _cause(exc: BaseException) -> str:
    """Return the words of the first error in a chain that has any: the last ones say too little."""
    words = "its process did not start"
    link: BaseException | None = exc.__cause__ or exc
    while link is not None:
        if str(link) and not isinstance(link, AssertionError):
            words = str(link)
        link = link.__cause__
    return words


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
