"""How many pages a second could the parent and the scheduler of a cluster pass on?

    python -m tests.benchmarks.cluster_limit [--leases 4000] [--rps 100000] [--latency-ms 50]

The cluster's engine without an API, mapping and database: each worker asks the gate for its
lease, waits, and reports what it would report. The table gives CPU milliseconds a page; 1000
divided by them is the limit of a process that has a core of its own. The parent's share is the
engine's alone: what the run does with a page is not in it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from carsync.cli.options import ConfigSource
from carsync.config.sections import Config
from carsync.engine.base import GivenFeed
from carsync.engine.dask import nodes
from carsync.engine.dask.cluster import Cluster
from carsync.engine.dask.offers import Offer
from carsync.engine.dask.task import FeedsPlugin
from carsync.engine.dask.worker_run import WorkerRun
from carsync.engine.messages import (
    EngineLost,
    Lease,
    PageFetched,
    PageLease,
    PagesStaged,
    WorkerFailed,
)
from carsync.model import PageInfo, StagedPage
from tests.benchmarks.cluster import CARSYNC, cpu_s, free_port, make_certificates, process, wire

THREADS = 16
LATENCY = "BENCH_LATENCY_MS"
START_S = 120.0


def feeds(files: Sequence[str], labels: Sequence[str]) -> list[tuple[Offer, Config]]:
    """Read the feed in a worker, whose leases are played from then on."""
    WorkerRun.serve = play  # type: ignore[assignment, method-assign]
    given = given_feed(files[0])
    return [(Offer.of(given), given.config)]


def given_feed(file: str) -> GivenFeed:
    """Return the feed of a configuration file."""
    return GivenFeed(ConfigSource(Path(file)).load(), {"feed": "bench", "mapping": "bench"})


def play(run: WorkerRun, lease: Lease) -> None:
    """Do what `WorkerRun.serve` does, but for the request, the mapping and the transaction."""
    assert isinstance(lease, PageLease)
    attempts, steps = run._attempts, run._attempts.steps
    steps.allow()
    if attempts._gate.admit(steps.allow, attempts.stopping.wait) is not None:
        attempts._tally.count("pages")
        time.sleep(float(os.environ[LATENCY]) / 1000)
        info = PageInfo(5000, 500_000)
        attempts.send(PageFetched(lease.page, 100, 0, 0.3, 40_000, 400_000, info, lease.page))
        staged = StagedPage(lease.page, 100, 0, 100, info)
        attempts.send(PagesStaged((staged,), 100, 0.02))
    run._idle_since_s = time.monotonic()
    steps.end()


def work(file: str, processes: int) -> None:
    """Be the workers, until stopped."""
    engine = given_feed(file).config.engine
    nodes.run_worker(engine, FeedsPlugin(feeds, [file], ()), processes=processes, threads=THREADS)


def drive(file: str, leases: int, scheduler: int, workers: int, processes: int) -> list[float]:
    """Lease and hear; return pages a second, and CPU milliseconds a page by process."""
    given = given_feed(file)
    port = int(str(given.config.engine.scheduler).rpartition(":")[2])
    engine = Cluster(given, given.config, 1, "bench", ())
    until_s = time.monotonic() + START_S
    engine.start()
    while engine.room() < processes * THREADS and time.monotonic() < until_s:
        engine.events(0.2)
    page = done = 0
    begin = leases // 5
    before: list[float] = []
    while done < leases:
        wanted = [PageLease(page + n + 1, 1) for n in range(min(engine.room(), leases - page))]
        page += len(wanted)
        if wanted:
            engine.lease(wanted)
        for event in engine.events(0.1):
            if isinstance(event, PagesStaged):
                done += len(event.pages)
            elif isinstance(event, EngineLost | WorkerFailed):
                raise SystemExit(str(event))
        if not before and done >= begin:
            before, begin = used(scheduler, workers, port), done
    after, count = used(scheduler, workers, port), done - begin
    engine.kill()
    spent = [(late - early) / count for early, late in zip(before, after, strict=True)]
    return [1 / spent[0], *(1000 * each for each in spent[1:4]), *spent[4:]]


def used(scheduler: int, workers: int, port: int) -> list[float]:
    """Return the time, CPU seconds of parent, scheduler and workers, segments and bytes."""
    passed = wire(port)
    segments = passed["data_segs_in"] + passed["data_segs_out"]
    count = passed["bytes_received"] + passed["bytes_sent"]
    cpu = (time.process_time(), cpu_s(scheduler), cpu_s(workers))
    return [time.monotonic(), *cpu, float(segments), float(count)]


_CONFIG = """
api: {{base_url: "http://127.0.0.1:9/api"}}
engine: {{type: dask, scheduler: "{scheme}://127.0.0.1:{port}"{tls}}}
checkpoint: {{path: {folder}/checkpoint.json}}
limits: {{requests_per_second: {rps}, concurrency: {concurrency}}}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leases", type=int, default=4000)
    parser.add_argument("--rps", type=int, default=100_000)
    parser.add_argument("--latency-ms", default="50")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--work", metavar="FILE", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work, given.workers)
    else:
        measure(given)


def measure(given: argparse.Namespace) -> None:
    """Start a cluster, measure and print."""
    os.environ[LATENCY] = given.latency_ms
    with ExitStack() as stack:
        folder, port = Path(stack.enter_context(tempfile.TemporaryDirectory())), free_port()
        config = folder / "feed.yaml"
        config.write_text(
            _CONFIG.format(
                scheme="tls" if given.tls else "tcp",
                tls=make_certificates(folder) if given.tls else "",
                port=port,
                folder=folder,
                rps=given.rps,
                concurrency=given.workers * THREADS,
            )
        )
        command = [CARSYNC, "--quiet", "scheduler", "-c", str(config)]
        scheduler = stack.enter_context(process(*command, quiet=False)).pid
        module = [sys.executable, "-m", "tests.benchmarks.cluster_limit", "--work", str(config)]
        workers = stack.enter_context(
            process(*module, "--workers", str(given.workers), quiet=False)
        ).pid
        nodes.configure()
        rounds = [
            drive(str(config), given.leases, scheduler, workers, given.workers)
            for _ in range(given.rounds)
        ]
    report(rounds)


def report(rounds: Sequence[Sequence[float]]) -> None:
    """Print the medians, and the smallest CPU times, which other programs disturbed least."""
    print("| | pages/s | parent | scheduler | workers | TCP segments | bytes |\n|---|" + "---|" * 6)
    for name, of in (("median", median), ("least", min)):
        print(
            f"| {name} | "
            + " | ".join(f"{of(each):.2f}" for each in zip(*rounds, strict=True))
            + " |"
        )


if __name__ == "__main__":
    main()
