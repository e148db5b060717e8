"""The task of the cluster: one lease, on whichever worker the scheduler chose."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence

import msgspec
from distributed import Worker, get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from carsync.config.sections import Config
from carsync.engine.dask.gate_keeper import Job
from carsync.engine.dask.logs import LogRules
from carsync.engine.dask.offers import EXTRA, Offer
from carsync.engine.dask.remote_gate import find_job
from carsync.engine.dask.worker_run import WorkerRuns
from carsync.engine.local.child import become_child
from carsync.errors import ConfigError

Feeds = Sequence[tuple[Offer, Config]]
Read = Callable[[Sequence[str], Sequence[str]], Feeds]
"""Reads configuration files for a worker with these labels."""

_ATTRIBUTE = "carsync_runs"


class FeedsPlugin(WorkerPlugin):
    """Gives a worker its feeds: each worker process reads the files itself, secrets included."""

    name = "carsync"

    def __init__(self, read: Read, files: Sequence[str], labels: Sequence[str]) -> None:
        self._read = read
        self._files = tuple(files)
        self._labels = tuple(labels)
        self._log = LogRules.of_this_process()

    def setup(self, worker: Worker) -> None:
        """Read the files and offer what is in them; called before the worker is registered.

        The process dies with its nanny, as a child of a run does with its parent.
        """
        become_child()
        self._log.set_up(str(worker.name))
        feeds = self._read(self._files, self._labels)
        threads = worker.state.nthreads
        offers = [offer for offer, _ in feeds]

        def find(job: Job) -> Config:
            for offer, config in feeds:
                if not job.offer.misfit(offer, job.label):
                    return config
            raise ConfigError("this worker has no configuration for the run")

        async def tell_offers(worker: Worker) -> object:
            return msgspec.to_builtins(offers)

        supply = {name: float(threads) for offer in offers for name in offer.resources}
        worker.state.total_resources.update(supply)
        worker.state.available_resources.update(supply)
        worker.startup_information[EXTRA] = tell_offers
        setattr(worker, _ATTRIBUTE, WorkerRuns(worker, threads, find))

    def teardown(self, worker: Worker) -> None:
        """Let the threads end: nobody waits for an answer that cannot come, with a session open."""
        if hasattr(worker, _ATTRIBUTE):
            runs_of(worker).stop()


def serve(session: str, lease: bytes) -> None:
    """Carry out a lease of a run. What came of it is told by events; an error means: nothing."""
    runs_of(get_worker()).of(session, find_job).serve(pickle.loads(lease))


def runs_of(worker: Worker) -> WorkerRuns:
    """Return the runs in hand of a worker process that has the plugin."""
    runs: WorkerRuns = getattr(worker, _ATTRIBUTE)
    return runs
