"""Sites for the tests: API, database and state folder of their own, cleared up afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from psycopg2 import extensions

from carsync.demo.feed import FeedOptions
from carsync.demo.postgres import EmbeddedPostgres
from carsync.demo.server import running
from carsync.demo.simulator import SimulatorOptions
from tests.conftest import new_database, server_in_memory
from tests.support import delta_bench as delta_bench_of
from tests.support import effort
from tests.support.delta_bench import DeltaApi, DeltaBench
from tests.support.fake_api import ScriptedApi
from tests.support.fault_bench import FEED, Bench
from tests.support.oracle import KEY
from tests.support.pg_proxy import PgProxy, proxied
from tests.support.quick_site import QuickSimulatedSite, QuickSync
from tests.support.site import PAGE_SIZE, Api, SimulatedSite, Site, ask
from tests.support.site_templates import Shelf

OpenSite = Callable[..., SimulatedSite]
Fill = Callable[..., object]
LeaveUnfinished = Callable[[SimulatedSite], set[int]]

GROWN = FeedOptions(cars=300, changed_share=0.05, added_share=0.03, removed_share=0.04)


@pytest.fixture
def is_quick(request: pytest.FixtureRequest) -> bool:
    """Whether the test's syncs start no process, because none of theirs is its subject."""
    mark = request.node.get_closest_marker("quick")
    return mark is not None and mark.args != (False,) and not effort.is_long


@pytest.fixture
def open_site(dsn: str, tmp_path: Path, is_quick: bool) -> Iterator[OpenSite]:
    """Give a function that opens a site with the simulator: `feed` and simulator options.

    `api` is the class of the simulator, `site` that of the site.
    """
    usual: type[SimulatedSite] = QuickSimulatedSite if is_quick else SimulatedSite
    with ExitStack() as stack:

        def open_(feed: FeedOptions | None = None, **options: Any) -> SimulatedSite:
            feed = feed or FeedOptions(cars=600)
            database = options.pop("dsn", dsn)
            options = {"key": KEY, "page_size": PAGE_SIZE, **options}
            kind: type[SimulatedSite] = options.pop("site", usual)
            api = options.pop("api", Api)(SimulatorOptions(feed=feed, **options))
            server = stack.enter_context(running(api))
            stack.callback(api.release)
            site = kind(server, api, database, tmp_path)
            stack.callback(site.close)
            return site

        yield open_


@pytest.fixture
def site(open_site: OpenSite) -> SimulatedSite:
    """A site with 600 cars in 30 pages."""
    return open_site()


@pytest.fixture(scope="session")
def shelf(server_dsn: str) -> Iterator[Shelf]:
    """What first runs leave on the tests' server."""
    with closing(Shelf(server_dsn)) as shelf:
        yield shelf


@pytest.fixture
def fill(shelf: Shelf) -> Fill:
    """A function that leaves a new site as its first sync does, at less cost."""
    return shelf.fill


@pytest.fixture
def leave_unfinished(shelf: Shelf) -> LeaveUnfinished:
    """A function that leaves a new site as a run does that is killed; gives its staged pages."""
    return shelf.leave_unfinished


@pytest.fixture(scope="session")
def own_server() -> Iterator[EmbeddedPostgres]:
    """A server that tests may crash."""
    with server_in_memory({"fsync": "off"}) as server:
        yield server


@pytest.fixture(scope="session")
def own_shelf(own_server: EmbeddedPostgres) -> Shelf:
    """What first runs leave on the server that tests may crash."""
    return Shelf(own_server.dsn)


@pytest.fixture
def crashing_dsn(own_server: EmbeddedPostgres) -> str:
    """The connection string of a new database of the server that tests may crash."""
    own_server.start()
    ask(own_server.dsn, "DROP DATABASE IF EXISTS crashing WITH (FORCE)")
    ask(own_server.dsn, "CREATE DATABASE crashing")
    return extensions.make_dsn(own_server.dsn, dbname="crashing")


@pytest.fixture
def grown_site(open_site: OpenSite, fill: Fill) -> SimulatedSite:
    """A site whose table is a snapshot behind, and whose cars have Korean names."""
    site = open_site(GROWN)
    fill(site)
    site.api.show(1)
    site.api.reset()
    return site


@pytest.fixture
def scripted_api() -> Iterator[ScriptedApi]:
    """An API that answers what the test told it."""
    with ScriptedApi() as api:
        yield api


@pytest.fixture
def scripted_site(
    scripted_api: ScriptedApi, dsn: str, tmp_path: Path, is_quick: bool
) -> Iterator[Site]:
    """A site with the scripted API."""
    site = (QuickSync if is_quick else Site)(scripted_api.base_url, "e2e", dsn, tmp_path)
    yield site
    site.close()


@pytest.fixture(scope="module")
def bench(
    server_dsn: str, template: str, shelf: Shelf, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """A site in step with its feed, shared by a module's trials, which follow each other."""
    api = Api(SimulatorOptions(feed=FEED, key=KEY, page_size=PAGE_SIZE))
    with new_database(server_dsn, template) as dsn, running(api) as server:
        kind = SimulatedSite if effort.is_long else QuickSimulatedSite
        site = kind(server, api, dsn, tmp_path_factory.mktemp("bench"))
        shelf.fill(site)
        yield Bench(site)
        site.close()


@pytest.fixture(scope="module")
def delta_bench(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeltaBench]:
    """A bench whose trials are of runs that ask for changes only."""
    api = DeltaApi(
        SimulatorOptions(feed=delta_bench_of.FEED, key=KEY, page_size=delta_bench_of.PAGE_SIZE)
    )
    with new_database(server_dsn, template) as dsn, running(api) as server:
        kind = SimulatedSite if effort.is_long else QuickSimulatedSite
        site = kind(server, api, dsn, tmp_path_factory.mktemp("delta_bench"))
        delta_bench_of.use_changes(site)
        site.sync("--mode", "full")
        yield DeltaBench(site)
        site.close()


@pytest.fixture
def proxy(dsn: str) -> Iterator[PgProxy]:
    """A proxy before the test's database."""
    with proxied(dsn) as proxy:
        yield proxy
