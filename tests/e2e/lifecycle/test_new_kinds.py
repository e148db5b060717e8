"""A kind of paging and a kind of authentication that carsync does not have yet.

Each is one file of its own and its name in the configuration's section; nothing else is touched.
The feed is read page by page: only an answer tells the token of the next page.
"""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_api import Arrival, Reply, ScriptedApi
from tests.support.folders import ROOT
from tests.support.site import Ended, Running, Site, ask, await_that

PAGES = 12
PAGE_SIZE = 20
CURSOR = '''
"""Pages by a cursor, which each answer gives of the next one."""

from carsync.model import PageInfo
from carsync.source.pagination.base import Paginator
from carsync.source.request import ApiRequest


class ThrowawayPaginator(Paginator):
    parallel = False

    @property
    def places(self):
        return ("meta.next",)

    def request(self, page, token):
        return ApiRequest(self._api.path, {} if token is None else {"cursor": token})

    def interpret(self, found):
        return PageInfo(next_token=found["meta.next"])

    def is_end(self, page, status, expected_pages):
        return False

    def find_fault(self, page, records, info, expected_pages, attempt=1):
        return None if records else "an empty page"
'''
SIGNATURE = '''
"""The key, reversed, as a parameter."""

from msgspec.structs import replace

from carsync.source.auth.base import Authenticator


class ThrowawayAuthenticator(Authenticator):
    def authorize(self, request):
        return replace(request, params={**request.params, "sign": self._auth.key.reveal()[::-1]})
'''
SECTIONS = ('type: Literal["page"', 'AuthType = Literal["header"')
"""What stands in the section of each, and gets one word more."""


class CursorApi(ScriptedApi):
    """Gives its pages by cursors that only the page before tells; holds its answers on request."""

    def __init__(self) -> None:
        super().__init__()
        self.open_pages = PAGES
        """Pages beyond these are not answered before `release`."""
        self._released = threading.Event()

    def release(self) -> None:
        """Answer whatever is asked."""
        self._released.set()

    def answer(self, arrival: Arrival) -> Reply:
        """Give the page of the cursor to whoever signs."""
        self.arrivals.append(arrival)
        if arrival.query.get("sign") != "e2e"[::-1]:
            return Reply(401)
        cursor = arrival.query.get("cursor", "c1x")
        number = int(cursor[1:-1])
        if number > self.open_pages:
            self._released.wait(20)
        ids = range((number - 1) * PAGE_SIZE, number * PAGE_SIZE)
        named = {"manufacturer": {"name": "Kia"}, "model": {"name": "Rio"}}
        records = [{"id": i, **named} for i in ids]
        following = f"c{number + 1}x" if number < PAGES else None
        return Reply(body={"data": records, "meta": {"next": following}})

    @property
    def cursors(self) -> list[str | None]:
        """The cursors asked for, in order."""
        return [arrival.query.get("cursor") for arrival in self.arrivals]


@pytest.fixture
def api() -> Iterator[CursorApi]:
    api = CursorApi()
    with api:
        yield api
        api.release()


@pytest.fixture
def site(api: CursorApi, dsn: str, tmp_path: Path) -> Iterator[Site]:
    """A site whose carsync is a copy with two files and two words more."""
    library = tmp_path / "library"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "carsync", library / "carsync", ignore=ignored)  # links are followed
    (library / "carsync/source/pagination/throwaway.py").write_text(CURSOR)
    (library / "carsync/source/auth/throwaway.py").write_text(SIGNATURE)
    sections = library / "carsync/config/api_sections.py"
    text = sections.read_text()
    for words in SECTIONS:
        assert text.count(words) == 1
        text = text.replace(words, f'{words}, "throwaway"')
    sections.write_text(text)
    site = Site(api.base_url, "e2e", dsn, tmp_path)
    site.variables["PYTHONPATH"] = str(library)
    site.settings["api.pagination.type"] = "throwaway"
    site.settings["api.auth.type"] = "throwaway"
    site.settings["api.record"] = None
    yield site
    site.close()


def start(site: Site) -> Running:
    return site.start("sync", "--json", program=[sys.executable, "-P", "-m", "carsync"])


def finish(site: Site) -> Ended:
    return site.check(start(site))


@pytest.mark.long
def test_a_new_kind_reads_the_whole_feed_page_by_page(site: Site, api: CursorApi) -> None:
    ended = finish(site)
    assert ended.counts == {"seen": PAGES * PAGE_SIZE, "inserted": PAGES * PAGE_SIZE}
    assert api.cursors == [None, *(f"c{number}x" for number in range(2, PAGES + 1))]
    assert finish(site).counts["unchanged"] == PAGES * PAGE_SIZE


@pytest.mark.long
def test_a_run_resumes_at_the_token_of_the_first_page_that_is_not_staged(
    site: Site, api: CursorApi
) -> None:
    api.open_pages = 5
    running = start(site)
    staged = "SELECT count(*) FROM carsync.ledger_1"
    await_that(lambda: ask(site.dsn, "SELECT to_regclass('carsync.ledger_1')")[0][0], "the ledger")
    await_that(lambda: ask(site.dsn, staged) == [(5,)], "five staged pages")
    await_that(lambda: "c6x" in api.cursors, "the request for the sixth page")
    running.process.send_signal(signal.SIGKILL)
    running.end()
    api.release()
    before = len(api.arrivals)
    ended = finish(site)
    assert "run 1" in ended.said or ended.report["run_id"] == 1
    assert ended.counts == {"seen": PAGES * PAGE_SIZE, "inserted": PAGES * PAGE_SIZE}
    assert api.cursors[before:] == [f"c{number}x" for number in range(6, PAGES + 1)]


@pytest.mark.long
def test_a_page_that_fails_for_good_hides_those_behind_it_and_nobody_goes(
    site: Site, api: CursorApi
) -> None:
    finish(site)
    broken = api.answer

    def answer(arrival: Arrival) -> Reply:
        return Reply(500) if arrival.query.get("cursor") == "c4x" else broken(arrival)

    api.answer = answer  # type: ignore[method-assign]
    site.settings["limits.retry.max_attempts"] = 2
    ended = site.check(start(site), 5)
    assert ended.counts["unchanged"] == 3 * PAGE_SIZE
    assert "deactivated" not in ended.counts
