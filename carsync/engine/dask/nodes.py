"""The standing processes of a cluster: the scheduler, and workers with their nannies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket

import dask
from distributed import Nanny, Scheduler

from carsync import timing
from carsync.config.sections import EngineRules
from carsync.engine.dask.gate_keeper import GateKeeper
from carsync.engine.dask.security import security_of
from carsync.engine.dask.task import FeedsPlugin

log = logging.getLogger(__name__)

WORKER_TTL_S = 30
"""A worker that the scheduler has not heard for this long is gone, and its leases are lost."""
_AGAIN_S = (1.0, 2.0, 5.0, 10.0)
_END_S = 10.0

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
    for name in ("distributed", "distributed.worker", "distributed.nanny", "distributed.core"):
        logging.getLogger(name).setLevel(logging.WARNING)


def run_scheduler(engine: EngineRules, listen: str) -> None:
    """Run the scheduler until SIGTERM or SIGINT; `listen` is its address, e.g. tls://:8786."""
    configure()
    asyncio.run(_run_scheduler(engine, listen))


async def _run_scheduler(engine: EngineRules, listen: str) -> None:
    stopped = _stop_signal()
    async with Scheduler(
        host=listen, security=security_of(engine), dashboard=False, plugins=[GateKeeper()]
    ) as scheduler:
        log.info("the scheduler listens at %s", scheduler.address, extra={"event": "scheduler_up"})
        await stopped.wait()
    log.info("the scheduler ends", extra={"event": "scheduler_down"})


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
        try:
            nanny = Nanny(
                engine.scheduler,
                nthreads=threads,
                name=name,
                security=security_of(engine),
                memory_limit=0,  # systemd or Kubernetes set the limit; nothing is spilled
                dashboard=False,
                plugins=[plugin],
                death_timeout=timing.current().worker_boot_s,
            )
            async with nanny:
                failures = 0
                log.info(
                    "worker %s is at work for %s",
                    name,
                    engine.scheduler,
                    extra={"event": "worker_up", "worker": name},
                )
                await _first(stopped.wait(), nanny.finished())
        except (OSError, RuntimeError, ValueError) as exc:
            wait_s = _AGAIN_S[min(failures, len(_AGAIN_S) - 1)]
            failures += 1
            log.warning(
                "the scheduler at %s cannot be reached (%s): again in %.0f s",
                engine.scheduler,
                exc or type(exc).__name__,
                wait_s,
                extra={"event": "scheduler_away", "wait_s": wait_s},
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), wait_s)
    log.info("worker %s ends", name, extra={"event": "worker_down", "worker": name})


async def _first(*waits: object) -> None:
    """Wait for the first of these; let go of the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]  # type: ignore[call-overload]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _stop_signal() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped
