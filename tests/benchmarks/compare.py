"""carsync beside the script of an afternoon, on the same feed and PostgreSQL, in the same run.

    python -m tests.benchmarks.compare [--rounds 3] [--cars 200000]

Serves a static feed of pre-gzipped pages with nginx (the simulator where nginx is not
installed), starts an embedded PostgreSQL, and in every round loads the feed into fresh
databases three ways (the script, carsync with `execute_values`, carsync with `copy`),
then syncs each again with nothing changed. Prints medians of ratios to the script:
absolute times say more of the machine than of the programs.

No limiter: this measures what carsync costs, not how polite it is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from carsync.demo.feed import Feed, FeedOptions
from carsync.demo.postgres import temporary
from tests.benchmarks.measuring import Measured, measure, new_database
from tests.benchmarks.static_feed import write_static

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err;
events {{ worker_connections 512; }}
http {{
  access_log off;
  keepalive_requests 100000;
  sendfile on;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
  fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  default_type application/json;
  server {{
    listen 127.0.0.1:{port};
    location = /api/cars {{
      root {folder}/feed;
      rewrite ^ /$arg_page.json.gz break;
      add_header Content-Encoding gzip;
    }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[str]:
    """Serve `folder`/feed; yields the base URL."""
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    for path in (folder, folder / "feed"):
        path.chmod(0o755)
    command = ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/api"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def simulator(cars: int) -> Iterator[str]:
    """Serve the same feed from a process of the simulator; yields the base URL."""
    command = [sys.executable, "-m", "carsync", "simulate", "--cars", str(cars), "--warm"]
    server = subprocess.Popen(
        [*command, "--key", ""], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[0].partition("=")[2]
    finally:
        server.terminate()
        server.wait()


Command = tuple[list[str], dict[str, str]]
"""A command and what its environment has beside ours."""


def script_command(base_url: str, dsn: str, _state: Path) -> Command:
    """Return the command of the afternoon's script."""
    return [sys.executable, "-m", "tests.benchmarks.afternoon", base_url, dsn], {}


def carsync_command(base_url: str, dsn: str, state: Path, settings: Sequence[str]) -> Command:
    """Return the command of `carsync sync` with these settings (`KEY=VALUE`)."""
    environ = {
        "API_BASE_URL": base_url,
        "DATABASE_URL": dsn,
        "RPS": "0",
        "STATE_DIRECTORY": str(state),
    }
    command = [str(Path(sys.executable).parent / "carsync"), "--quiet", "sync", "--json"]
    return [*command, *(word for setting in settings for word in ("--set", setting))], environ


PROGRAMS: dict[str, Callable[[str, str, Path], Command]] = {
    "script": script_command,
    "execute_values": partial(carsync_command, settings=["database.load_method=execute_values"]),
    "copy": partial(carsync_command, settings=["database.load_method=copy"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cars", type=int, default=200_000)
    parser.add_argument("--port", type=int, default=8917)
    options = parser.parse_args()
    first: dict[str, list[Measured]] = {name: [] for name in PROGRAMS}
    second: dict[str, list[Measured]] = {name: [] for name in PROGRAMS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if shutil.which("nginx"):
            feed = Feed(FeedOptions(cars=options.cars))
            write_static(folder / "feed", feed, 0)
            base_url = stack.enter_context(nginx(folder, options.port))
        else:
            base_url = stack.enter_context(simulator(options.cars))
        server = stack.enter_context(temporary())
        for number in range(options.rounds):
            for name in PROGRAMS:
                dsn = new_database(server.dsn, f"bench_{name}")
                state = folder / f"state-{number}-{name}"
                command, environ = PROGRAMS[name](base_url, dsn, state)
                first[name].append(measure(command, environ, dsn))
                second[name].append(measure(command, environ, dsn))
                print(
                    f"round {number + 1} {name:15} full {first[name][-1].wall_s:6.1f} s, "
                    f"unchanged {second[name][-1].wall_s:6.1f} s",
                    file=sys.stderr,
                )
    report(first, second, options)


def report(
    first: dict[str, list[Measured]],
    second: dict[str, list[Measured]],
    options: argparse.Namespace,
) -> None:
    """Print the medians of the round-by-round ratios to the script."""
    print(f"{options.cars:,} cars, {options.rounds} rounds, {os.cpu_count()} cores")
    print(f"{'':16}{'full load':>12}{'unchanged':>12}{'its WAL':>12}{'peak RSS':>12}")
    for name in ("execute_values", "copy"):
        full = median(
            ours.wall_s / theirs.wall_s
            for ours, theirs in zip(first[name], first["script"], strict=True)
        )
        again = median(
            ours.wall_s / theirs.wall_s
            for ours, theirs in zip(second[name], second["script"], strict=True)
        )
        wal = median(
            ours.wal_bytes / theirs.wal_bytes
            for ours, theirs in zip(second[name], second["script"], strict=True)
        )
        rss = max(m.rss_mb for m in first[name] + second[name])
        print(f"{name:16}{full:12.2f}{again:12.2f}{wal:12.2%}{rss:9.0f} MB")


if __name__ == "__main__":
    main()
