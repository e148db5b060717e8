"""How many pages a second does a cluster read with 1 to 4 workers, and what does a page cost whom?

    python -m tests.benchmarks.cluster [--workers 1,2,3,4] [--rounds 3] [--rps 0] [--tls]

One scheduler, workers of one process with 16 threads each, PostgreSQL and an API that answers
after 300 ms, all on this machine. `limits.concurrency` is 16 for each worker, so that a cluster
without any cost of its own reads 53 pages a second with each worker: the table's first column is
the share of that which it reads. CPU is read while the middle of the feed is: from the 15th to
the 90th of 100 pages. `--rps 2000` lets each request ask the gate, whose limit is never reached.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import msgspec
import psutil

from carsync.demo.postgres import temporary
from tests.benchmarks.measuring import new_database
from tests.support.folders import ROOT

THREADS = 16
LATENCY_S = 0.3
BEGIN, END = 0.15, 0.9
"""The shares of the feed between which is measured."""
EVERY_S = 0.2
START_S = 150.0
CARSYNC = str(Path(sys.executable).parent / "carsync")

_CONFIG = """
api: {{base_url: {api}/api}}
engine: {{type: dask, scheduler: "{scheme}://127.0.0.1:{port}"{tls}}}
database: {{dsn: "{dsn}"}}
checkpoint: {{path: {folder}/checkpoint.json}}
limits: {{requests_per_second: {rps}, concurrency: {concurrency}}}
"""
_SEGMENTS = re.compile(r" (bytes_sent|bytes_received|data_segs_out|data_segs_in):(\d+)")


class Sample(msgspec.Struct):
    """What was used up to one moment: CPU seconds, and what passed the scheduler's sockets."""

    at_s: float
    requests: int
    out_s: float
    cpu_s: dict[str, float]
    wire: dict[str, int]


class Measured(msgspec.Struct):
    """One run: pages a second, its share of the ideal, how full the workers' threads are."""

    pages_per_s: float
    efficiency: float
    in_use: float
    cpu_ms: dict[str, float]
    segments: float
    bytes: float


# ── the processes ────────────────────────────────────────────────────────────


@contextmanager
def process(*command: str, quiet: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Run a command until the block is left."""
    stderr = subprocess.DEVNULL if quiet else None
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=ROOT, env=clean_environ()
    )
    try:
        yield child
    finally:
        child.terminate()
        child.wait()


def clean_environ() -> dict[str, str]:
    """Return the environment without carsync's own variables."""
    ours = ("API_", "DATABASE_", "RPS", "STATE_DIRECTORY")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@contextmanager
def latent_api(pages: int, page_size: int) -> Iterator[str]:
    """Serve the feed; yields the URL."""
    module = [sys.executable, "-m", "tests.benchmarks.latent_api"]
    options = ["--pages", str(pages), "--page-size", str(page_size)]
    with process(*module, *options, f"--latency-ms={LATENCY_S * 1000}") as child:
        assert child.stdout is not None
        yield child.stdout.readline().strip()


def stats(api: str) -> dict[str, float]:
    """Return what the API says of itself."""
    with urllib.request.urlopen(f"{api}/stats") as answer:
        said: dict[str, float] = json.load(answer)
    return said


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def make_certificates(folder: Path) -> str:
    """Make a CA and one certificate for all; return them as the keys of `engine`."""
    curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split()
    alt = ["-addext", "subjectAltName=IP:127.0.0.1"]
    ca, key = folder / "ca.pem", folder / "ca.key"
    steps = [
        ["-x509", *curve, "-subj", "/CN=bench CA", "-keyout", str(key), "-out", str(ca)],
        ["-x509", *curve, "-subj", "/CN=bench", *alt, "-CA", str(ca), "-CAkey", str(key)],
    ]
    steps[1] += ["-keyout", str(folder / "node.key"), "-out", str(folder / "node.pem")]
    for step in steps:
        subprocess.run(["openssl", "req", *step], check=True, capture_output=True)
    return f", tls: {{ca: {ca}, cert: {folder}/node.pem, key: {folder}/node.key}}"


# ── one run ──────────────────────────────────────────────────────────────────


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its children that live."""
    try:
        one = psutil.Process(pid)
        times = [each.cpu_times() for each in (one, *one.children(recursive=True))]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(each.user + each.system for each in times)


def wire(port: int) -> dict[str, int]:
    """Return the sums over the scheduler's connections, as the kernel counts them."""
    command = ["ss", "-tinH", "sport", "=", f":{port}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    sums: dict[str, int] = {}
    for name, value in _SEGMENTS.findall(said):
        sums[name] = sums.get(name, 0) + int(value)
    return sums


def sample(api: str, port: int, pids: dict[str, list[int]]) -> Sample:
    """Look at everything."""
    said = stats(api)
    used = {name: sum(map(cpu_s, each)) for name, each in pids.items()}
    at_s = time.monotonic()
    return Sample(at_s, int(said["requests"]), said["out_s"], used, wire(port))


def measure(api: str, port: int, config: Path, pages: int, pids: dict[str, list[int]]) -> Measured:
    """Run `carsync sync` once, and look at the middle of it."""
    samples = []
    with process(CARSYNC, "--quiet", "sync", "-c", str(config), quiet=False) as run:
        pids = {"parent": [run.pid], **pids}
        while run.poll() is None:
            seen = sample(api, port, pids)
            if BEGIN * pages <= seen.requests <= END * pages:
                samples.append(seen)
            time.sleep(EVERY_S)
    if run.returncode not in (0, 7) or len(samples) < 2:
        raise SystemExit(f"carsync sync ended with {run.returncode}, {len(samples)} samples")
    workers = len(pids["a worker"])
    first, last = samples[0], samples[-1]
    count, took_s = last.requests - first.requests, last.at_s - first.at_s
    passed = {name: (last.wire[name] - first.wire[name]) / count for name in last.wire}
    return Measured(
        count / took_s,
        count / took_s / (workers * THREADS / LATENCY_S),
        (last.out_s - first.out_s) / took_s / (workers * THREADS),
        {name: 1000 * (last.cpu_s[name] - first.cpu_s[name]) / count for name in pids},
        passed.get("data_segs_in", 0) + passed.get("data_segs_out", 0),
        passed.get("bytes_received", 0) + passed.get("bytes_sent", 0),
    )


def play_round(given: argparse.Namespace, dsn: str, database_pid: int) -> dict[int, Measured]:
    """Measure with each number of workers, each time with a new cluster."""
    measured = {}
    for workers in given.workers:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            pages = workers * given.pages
            api = stack.enter_context(latent_api(pages, given.page_size))
            port, config = free_port(), folder / "feed.yaml"
            config.write_text(
                _CONFIG.format(
                    api=api,
                    port=port,
                    scheme="tls" if given.tls else "tcp",
                    tls=make_certificates(folder) if given.tls else "",
                    dsn=new_database(dsn, "bench_cluster"),
                    folder=folder,
                    rps=given.rps,
                    concurrency=workers * THREADS,
                )
            )
            pids = start_cluster(stack, config, port, workers)
            pids["database"] = [database_pid]
            measured[workers] = measure(api, port, config, pages, pids)
            print(f"{workers} workers: {measured[workers]}", file=sys.stderr)
    return measured


def start_cluster(stack: ExitStack, config: Path, port: int, workers: int) -> dict[str, list[int]]:
    """Start the scheduler and its workers; return the process ids once all are there."""
    command = [CARSYNC, "--quiet", "scheduler", "-c", str(config)]
    scheduler = stack.enter_context(process(*command, quiet=False))
    command = [CARSYNC, "--quiet", "worker", "-c", str(config), "--processes", "1"]
    command += ["--threads", str(THREADS)]
    pids = [stack.enter_context(process(*command, quiet=False)).pid for _ in range(workers)]
    until_s = time.monotonic() + START_S
    while workers_of(port) < workers:
        if time.monotonic() > until_s:
            raise SystemExit("the cluster did not start")
        time.sleep(EVERY_S)
    return {"scheduler": [scheduler.pid], "a worker": pids}


def workers_of(port: int) -> int:
    """Return how many connections the scheduler has: two at least for each worker's processes."""
    command = ["ss", "-tnH", "state", "established", "sport", "=", f":{port}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return len(said.splitlines()) // 2


# ── the table ────────────────────────────────────────────────────────────────


def report(rounds: Sequence[dict[int, Measured]], given: argparse.Namespace) -> None:
    """Print medians: ratios first, then CPU milliseconds a page."""
    print(f"{given.rounds} rounds, {os.cpu_count()} cores, rps {given.rps}, tls {given.tls}")
    heads = ("of ideal", "threads in use", "pages/s", "parent", "scheduler", "workers", "database")
    print("| workers | " + " | ".join(heads) + " | TCP segments | bytes |")
    for workers in given.workers:
        of = [played[workers] for played in rounds]
        cpu = {name: median(m.cpu_ms[name] for m in of) for name in of[0].cpu_ms}
        print(
            f"| {workers} | {median(m.efficiency for m in of):.2f} "
            f"| {median(m.in_use for m in of):.2f} | {median(m.pages_per_s for m in of):.0f} "
            f"| {cpu['parent']:.2f} | {cpu['scheduler']:.2f} | {cpu['a worker']:.2f} "
            f"| {cpu['database']:.2f} | {median(m.segments for m in of):.1f} "
            f"| {median(m.bytes for m in of):.0f} |"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--workers", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 3, 4]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rps", type=int, default=0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--pages", type=int, default=600, help="pages of the feed a worker")
    parser.add_argument("--page-size", type=int, default=10)
    given = parser.parse_args()
    with temporary({"fsync": "off"}) as server:
        pid = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
        rounds = [play_round(given, server.dsn, pid) for _ in range(given.rounds)]
    report(rounds, given)


if __name__ == "__main__":
    main()
