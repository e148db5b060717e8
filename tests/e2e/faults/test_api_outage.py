"""An API or a machine that misbehaves: nobody is deactivated, and the operator is told why."""

from __future__ import annotations

import resource
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions, sql

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import Fill, OpenSite
from tests.support.fake_api import Reply, ScriptedApi, page_reply
from tests.support.site import PAGE_SIZE, SimulatedSite, Site, ask, await_that

pytestmark = pytest.mark.quick


@pytest.fixture
def full_site(site: SimulatedSite, fill: Fill) -> SimulatedSite:
    """A site whose table holds the whole feed already."""
    fill(site)
    site.api.reset()
    return site


def assert_nobody_left(site: SimulatedSite) -> None:
    assert site.inactive() == set()
    assert site.active() == site.truth(0)


# ── the API ──────────────────────────────────────────────────────────────────


def test_an_api_whose_second_half_is_empty(full_site: SimulatedSite) -> None:
    full_site.api.change(empty_from=16)
    ended = full_site.sync(expect=5)
    assert_nobody_left(full_site)
    report = ended.report
    assert report["problem"].startswith("15 of 30 pages could not be read")
    assert "holds 0 records" in report["detail"]
    assert report["next_step"] == "run `carsync sync` again"
    assert full_site.status()["pages_given_up"] == 15

    full_site.api.change(empty_from=None)
    full_site.sync()
    full_site.assert_exact()


def test_an_api_that_answers_500_for_some_pages_for_good(full_site: SimulatedSite) -> None:
    full_site.api.show(1)
    full_site.api.change(broken_share=0.05)
    broken = set(full_site.api.truth(1)["broken_pages"])
    assert broken
    ended = full_site.sync(expect=5)
    truth = full_site.truth(1)
    read = {car for number, car in enumerate(truth) if number // PAGE_SIZE + 1 not in broken}
    active = full_site.active()
    assert active.keys() == full_site.truth(0).keys() | read, "merged, and nobody left"
    assert {car: active[car] for car in read} == {car: truth[car] for car in read}
    assert "HTTP 500" in ended.report["detail"]
    assert {int(page) for page in full_site.status()["pages_failed"]} == broken

    full_site.api.change(broken_share=0.0)
    full_site.sync()
    full_site.assert_exact(1)


@pytest.mark.quick(False)
@pytest.mark.long
def test_broken_pages_are_not_taken_for_a_broken_api(open_site: OpenSite) -> None:
    """At the feed's end only they are left, fail in a row and open the circuit breaker."""
    site = open_site(FeedOptions(cars=3000), broken_share=0.1)
    broken = set(site.api.truth()["broken_pages"])
    assert len(broken) > 10
    site.settings["limits.retry.base_s"] = 0.5  # when all other pages are read
    site.settings["limits.circuit_breaker.open_s"] = 0.05
    ended = site.sync(expect=5)
    assert ended.report["figures"]["breaker_openings"] >= 2
    assert ended.report["figures"]["pages_given_up"] == len(broken)
    assert ended.counts["inserted"] == PAGE_SIZE * (150 - len(broken))


def test_an_api_that_goes_down_in_the_middle(full_site: SimulatedSite) -> None:
    full_site.api.hold(after=10)
    running = full_site.start("sync", "--json", limits__circuit_breaker__open_s=0.05)
    full_site.await_staged(10)
    full_site.api.change(broken_share=1.0)
    full_site.api.release()
    ended = full_site.check(running, 3)
    assert "circuit breaker opened 5 times in a row" in ended.report["problem"]
    assert "HTTP 500" in ended.report["detail"]
    assert_nobody_left(full_site)
    full_site.api.change(broken_share=0.0)
    assert full_site.sync().report["run_id"] == ended.report["run_id"]


@pytest.mark.quick(False)
def test_a_page_that_is_html(scripted_api: ScriptedApi, scripted_site: Site, fill: Fill) -> None:
    cars = [{"id": n, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}} for n in range(60)]
    for page in (1, 2, 3):
        records = cars[(page - 1) * 20 : page * 20]
        scripted_api.on("/cars", page_reply(records, page, 3, 60), page=page)
    fill(scripted_site, cars)
    html = Reply(body=b"<html>Sorry</html>", headers={"Content-Type": "text/html"})
    scripted_api.on("/cars", html, page=2)
    ended = scripted_site.sync(expect=5)
    assert len(scripted_site.active()) == 60
    assert ended.report["problem"].startswith("1 of 3 pages could not be read")
    assert "HTML" in ended.report["detail"]


@pytest.mark.quick(False)
def test_a_feed_that_is_html_throughout(full_site: SimulatedSite) -> None:
    full_site.api.change(html_share=1.0)
    ended = full_site.sync(expect=3)
    assert_nobody_left(full_site)
    assert ended.report["problem"] == "no page of the feed could be read"
    assert "HTML" in ended.report["detail"]


@pytest.mark.long
def test_a_feed_that_shrinks_beyond_the_cap_is_held(open_site: OpenSite, fill: Fill) -> None:
    site = open_site(FeedOptions(cars=600, removed_share=0.3, added_share=0.0))
    fill(site)
    site.api.show(1)
    ended = site.sync(expect=6)
    assert site.inactive() == set()
    assert ended.counts["held"] == 180
    assert "sync.deactivate.max_share" in ended.report["detail"]
    assert "approve" in ended.report["next_step"]
    assert {car for car, hash_ in site.truth(1).items() if site.active()[car] == hash_}
    assert site.status()["state"] == "held"


@pytest.mark.quick(False)
def test_a_wrong_key(full_site: SimulatedSite) -> None:
    full_site.variables["API_KEY"] = "wrong"
    ended = full_site.sync(expect=3)
    assert_nobody_left(full_site)
    assert ended.report["problem"].startswith("the API refused the key (HTTP 401")
    assert "API_KEY" in ended.report["hint"]
    assert len(full_site.api.log) <= 2, "asking again would not help"


def test_an_api_that_cannot_be_reached(full_site: SimulatedSite) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed_soon:
        port = closed_soon.getsockname()[1]
    full_site.variables["API_BASE_URL"] = f"http://127.0.0.1:{port}/api"
    ended = full_site.sync("--adopt-source", expect=3)
    assert_nobody_left(full_site)
    assert "refuses the connection" in ended.report["detail"]
    assert "api.base_url" in ended.report["hint"]


# ── the database ─────────────────────────────────────────────────────────────


def test_a_database_that_cannot_be_reached(site: SimulatedSite) -> None:
    site.variables["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    ended = site.start("sync").end()
    assert ended.exit_code == 4
    assert "Traceback" not in ended.err
    assert "hint: " in ended.err
    assert site.api.log == []


@contextmanager
def _stranger(dsn: str) -> Iterator[str]:
    """Give the connection string of a role that may do nothing but connect."""
    name = sql.Identifier(f"carsync_stranger_{extensions.parse_dsn(dsn)['dbname']}")
    with closing(psycopg2.connect(dsn)) as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'stranger'").format(name))
            try:
                yield extensions.make_dsn(dsn, user=name.string, password="stranger")
            finally:
                cur.execute(sql.SQL("DROP OWNED BY {}").format(name))
                cur.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.mark.parametrize("migrates", [pytest.param(True, marks=pytest.mark.long), False])
def test_a_role_without_privileges(full_site: SimulatedSite, migrates: bool) -> None:
    with _stranger(full_site.dsn) as dsn:
        full_site.variables["DATABASE_URL"] = dsn
        ended = full_site.sync(expect=4, database__auto_migrate=migrates)
    assert ("permission denied" if migrates else "public.cars") in ended.said
    assert "grant" in ended.report["hint"].lower()
    assert_nobody_left(full_site)
    assert full_site.api.log == []


# ── the machine ──────────────────────────────────────────────────────────────


def test_a_key_that_does_not_exist(site: SimulatedSite) -> None:
    file = site.folder / "carsync.yaml"
    file.write_text("limits:\n  request_per_second: 5\n")
    ended = site.start("sync", "--config", str(file)).end()
    assert ended.exit_code == 2
    assert ended.err.startswith("carsync: unknown key limits.request_per_second")
    assert "did you mean limits.requests_per_second?" in ended.err
    assert site.api.log == []
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs") == [(0,)]


def test_a_checkpoint_in_a_place_that_is_no_folder(site: SimulatedSite) -> None:
    (site.folder / "file").touch()
    path = str(site.folder / "file" / "cars.json")
    ended = site.start("sync", checkpoint__path=path).end()
    assert ended.exit_code == 2
    assert "Traceback" not in ended.err
    assert ended.err.count("carsync: ") == 1
    assert "hint: " in ended.err
    assert site.api.log == []


def test_a_disk_that_is_full_from_the_start(site: SimulatedSite) -> None:
    with _full_disk(site.folder / "disk") as folder:
        ended = site.start("sync", checkpoint__path=str(folder / "cars.json")).end()
    assert ended.exit_code == 2
    assert "Traceback" not in ended.err
    assert "no space left on device" in ended.said
    assert "free space on the disk" in ended.said
    assert site.active() == {}


def test_a_checkpoint_that_cannot_grow_in_the_middle_of_a_run(site: SimulatedSite) -> None:
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    site.await_staged(10)
    await_that(lambda: (s := site.checkpoint()) and s.pages_done, "pages in the checkpoint")
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (0, 0))
    site.api.release()
    ended = site.check(running, 2)
    assert "cannot write the checkpoint: file too large" in ended.report["problem"]
    assert "ulimit" in ended.report["hint"]
    assert site.active() == {}
    site.sync()
    site.assert_exact()


@contextmanager
def _full_disk(folder: Path) -> Iterator[Path]:
    """Give a folder on a file system without a free byte; skip the test where none can be made."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        ballast = (folder / "ballast").open("wb", buffering=0)
        with ballast, suppress(OSError):
            while ballast.write(bytes(4096)):
                pass
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# ── two at once ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "shared_folder",
    [pytest.param(True, marks=pytest.mark.long), False],
    ids=["one-folder", "two-folders"],
)
def test_of_two_starts_one_runs(site: SimulatedSite, shared_folder: bool) -> None:
    """In one folder the file lock answers, from elsewhere the lock in the database."""
    site.api.hold(after=5)
    both = [site.start("sync", "--json")]
    if not shared_folder:
        site.variables["XDG_STATE_HOME"] = str(site.folder / "elsewhere")
    both.append(site.start("sync", "--json"))
    await_that(lambda: any(r.process.poll() is not None for r in both), "the end of one")
    refused, runs = sorted(both, key=lambda running: running.process.poll() is None)
    ended = refused.end()
    assert ended.exit_code == 75
    assert ended.report["problem"].startswith("another run")
    site.api.release()
    site.check(runs)
    site.assert_exact()
    assert ask(site.dsn, "SELECT count(*) FROM carsync.runs") == [(1,)]
