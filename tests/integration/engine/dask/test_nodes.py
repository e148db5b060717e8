"""Scheduler and workers as processes: a run over them, their log, how they end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from itertools import pairwise
from pathlib import Path
from unittest.mock import call, create_autospec

import psutil
import pytest
from click.testing import CliRunner
from distributed import Client, Nanny, Status

from carsync.cli.cluster import scheduler
from carsync.config.sections import EngineRules
from carsync.engine.base import GivenFeed
from carsync.engine.dask import nodes
from carsync.engine.dask.cluster import Cluster
from carsync.engine.dask.link import SchedulerLink
from carsync.engine.dask.overlay import lay_over
from carsync.engine.dask.task import FeedsPlugin
from carsync.engine.messages import PageFetched, PageLease, failed_by_worker
from carsync.model import PageInfo
from tests.conftest import ask
from tests.support.fake_api import ScriptedApi, page_reply
from tests.support.findings import keyed_config
from tests.support.site import CARSYNC
from tests.support.small_cluster import QUIET, SmallCluster, free_port

SOON_S = 20.0
"""Far less than a drain may take."""
KEY = "hush-key-1c9"
CARS = [{"id": n, "manufacturer": {"name": "Kia"}, "model": {"name": "Rio"}} for n in range(1, 7)]


def test_a_run_over_a_cluster_whose_processes_tell_in_json_what_they_do(
    tmp_path: Path, dsn: str, conn: object
) -> None:
    with ScriptedApi() as api, SmallCluster(tmp_path) as cluster:
        for number in (1, 2, 3):
            reply = page_reply(CARS[2 * number - 2 : 2 * number], number, 3, 6)
            api.on("/cars", reply, page=number)
        settings = {"api": {"base_url": api.base_url}, "database": {"dsn": dsn}}
        path = cluster.write("run", {**settings, "checkpoint": {"path": str(tmp_path / "cp")}})
        cluster.start("scheduler", "listens at", "--log-format", "json", "scheduler", "-c", path)
        cluster.start("waiting", "phase: fetching", "sync", "-c", path, API_KEY=KEY)
        begun_s = time.monotonic()
        assert cluster.stop("waiting") == {143}
        assert time.monotonic() - begun_s < SOON_S, "nobody has anything in hand"

        command = ("--log-format", "json", "worker", "-c", path, "--processes", "1")
        cluster.start("worker", "is at work", *command, API_KEY=KEY)

        listening = [
            listener.laddr.ip
            for process in psutil.Process().children(recursive=True)
            for listener in process.net_connections("tcp")
            if listener.status == psutil.CONN_LISTEN
        ]
        assert set(listening) == {"127.0.0.1"}, "without TLS, nobody else may reach a worker"

        second = run("scheduler", "-c", path)
        assert second.returncode == 2
        assert "the scheduler cannot listen at tcp://" in second.stderr
        assert "already in use" in second.stderr

        done = run("sync", "-c", path)
        assert done.returncode == 0, done.stderr
        assert ask(conn, "SELECT count(*) FROM cars WHERE is_active") == [(6,)]  # type: ignore[arg-type]
        assert {arrival.headers["x-api-key"] for arrival in api.arrivals} == {KEY}

        assert cluster.stop("scheduler", "worker") == {0}
        assert "killing" not in cluster.log("worker"), "its process ends by itself"
        events = [json.loads(line) for line in cluster.log("worker").splitlines()]
        assert events[0]["event"] == "worker_up"
        assert events[-1]["event"] == "worker_down"
        assert KEY not in cluster.log("worker") + cluster.log("scheduler")


def test_a_worker_that_looks_for_its_scheduler_ends_at_once() -> None:
    async def end_soon() -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, stopped.set)
        engine = EngineRules(scheduler=f"tcp://127.0.0.1:{free_port()}")
        plugin = FeedsPlugin(lambda *_: (), (), ())
        await asyncio.wait_for(nodes._run_nanny(engine, plugin, 0, 1, stopped), SOON_S)

    asyncio.run(end_soon())


def test_a_nanny_listens_until_its_worker_process_has_ended() -> None:
    nanny = create_autospec(Nanny, instance=True, status=Status.running)

    async def end() -> None:
        stopped = asyncio.Event()
        stopped.set()
        await nodes._end_when(stopped, nanny)

    asyncio.run(end())
    assert nanny.method_calls == [call.close_gracefully(), call.kill()]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("tcp://127.0.0.1:8786", "127.0.0.1"),
        ("tcp://localhost:8786", "127.0.0.1"),
        ("tls://[::1]:8786", "[::1]"),
        ("tls://10.0.0.5:8786", None),
    ],
)
def test_workers_of_a_cluster_on_loopback_listen_there_alone(
    address: str, host: str | None
) -> None:
    assert nodes.own_host(EngineRules(scheduler=address)) == host


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ((), "tcp://[::1]:18786"),
        (("--listen", "127.0.0.1:9"), "tcp://127.0.0.1:9"),
    ],
)
def test_a_scheduler_listens_at_the_address_of_the_configuration(
    options: tuple[str, ...], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(nodes, "run_scheduler", lambda _, listen: asked.append(listen))
    words = ("--set", "engine.scheduler=tcp://[::1]:18786", *options)
    done = CliRunner().invoke(scheduler, words)
    assert (done.exit_code, asked) == (0, [address]), done.output


def test_the_limits_of_a_run_hold_on_its_workers_whatever_their_own_file_says() -> None:
    ours = keyed_config("limits: {requests_per_second: 5, budget: {requests: 9, per: hour}}")
    given = GivenFeed(ours, {"feed": "f", "mapping": "m"})
    job = Cluster(given, ours, 7, "token", ())._job
    theirs = keyed_config("limits: {requests_per_second: 30}")
    assert lay_over(theirs, job.overlay).limits == ours.limits


def test_a_page_that_its_worker_could_not_stage_waits_no_longer_to_be_staged() -> None:
    ours = keyed_config("limits: {requests_per_second: 5}")
    engine = Cluster(GivenFeed(ours, {"feed": "f", "mapping": "m"}), ours, 7, "token", ())
    for page in (1, 2):
        engine._events.put(PageFetched(page, 1, 0, 0.1, 9, 9, PageInfo()))
    engine.events(0)
    assert engine.queue_depth() == 2
    engine._events.put(failed_by_worker(PageLease(1, 1), "its database is away"))
    engine.events(0)
    assert engine.queue_depth() == 1


def test_a_connection_that_cannot_be_closed_is_let_go_of() -> None:
    """A client that looks for a killed scheduler may not close in time, and tries when freed."""
    link = SchedulerLink(EngineRules(), "session")
    client = create_autospec(Client, instance=True, status="connecting")
    client.close.side_effect = TimeoutError
    link._client = client
    link.close(is_lost=True)
    assert (client.status, link.is_open) == ("closed", False)


def test_why_a_worker_is_not_at_work_is_the_first_error_that_has_words() -> None:
    def chain(*errors: Exception) -> Exception:
        for one, other in pairwise(errors):
            one.__cause__ = other
        return errors[0]

    failed = RuntimeError("Nanny failed to start.")
    for errors, words in (
        ((failed, OSError("timed out"), OSError("refused")), "refused"),
        ((failed, OSError("timed out"), TimeoutError()), "timed out"),
        ((failed, AssertionError("x")), "its process did not start"),
        ((OSError("refused"),), "refused"),
    ):
        assert nodes._cause(chain(*errors)) == words


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    environ = {**QUIET, "API_KEY": KEY}
    command = [*CARSYNC, *map(str, args)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
