"""The drills: each trouble is really made, and its runbook is followed to the end.

Every runbook runs first without --yes, which must change nothing, then with it; both times
what it says is held against its page.
"""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import OpenSite
from tests.e2e.harness import Running, SimulatedSite, await_that
from tests.e2e.oracle import KEY
from tests.e2e.runbooks import CONFIG, Operator, assert_as_on_the_page

FEED = FeedOptions(cars=200, changed_share=0.05, added_share=0.05, removed_share=0.2)


@pytest.fixture
def site(open_site: OpenSite) -> SimulatedSite:
    """A site with 200 cars in 10 pages; 40 of them go with each snapshot."""
    return open_site(FEED)


@pytest.fixture
def operator(site: SimulatedSite) -> Operator:
    """The operator of the site."""
    return Operator(site)


def _begin(operator: Operator, pages: int) -> Running:
    """Start a sync that stands still after so many pages."""
    site = operator.site
    site.api.hold(after=pages)
    running = site.start("sync", "--config", CONFIG)
    await_that(lambda: site.status().get("pages_done") == pages, f"{pages} pages in the status")
    return running


def test_a_run_that_is_stuck_is_stopped_and_resumed(operator: Operator) -> None:
    site = operator.site
    running = _begin(operator, 4)
    assert_as_on_the_page("stuck", "--after 600", operator.open("stuck", "--after", "600"))
    running.signal(signal.SIGSTOP)
    stopped = psutil.Process(running.process.pid)
    assert_as_on_the_page("stuck", "", operator.refuse("stuck"))
    assert stopped.status() == psutil.STATUS_STOPPED

    site.api.release()
    site.api.reset()
    assert_as_on_the_page("stuck", "--yes", operator.open("stuck", "--yes"))
    assert running.end().exit_code == 143
    site.assert_exact()
    assert len(site.api.pages_asked()) <= site.pages() - 4, "what was staged was not read again"


def test_a_run_that_died_is_resumed_once_the_cause_is_gone(operator: Operator) -> None:
    site = operator.site
    running = _begin(operator, 4)
    os.kill(running.process.pid, signal.SIGKILL)
    running.end()
    site.await_no_process()
    site.api.release()
    wrong = operator.open("failed", "--yes", expect=3, API_KEY="wrong")
    assert_as_on_the_page("failed", "--yes  # the key was revoked", wrong)
    assert site.rows() == []

    assert_as_on_the_page("failed", "", operator.refuse("failed"))
    site.api.reset()
    assert_as_on_the_page("failed", "--yes", operator.open("failed", "--yes"))
    site.assert_exact()
    assert "nothing to resume" in operator.open("failed").out


def test_held_deactivations_are_looked_at_and_approved(operator: Operator) -> None:
    site = operator.site
    site.sync()
    site.api.show(1)
    site.sync(expect=6)
    gone = site.truth(0).keys() - site.truth(1).keys()
    assert_as_on_the_page("held", "", operator.refuse("held"))
    assert_as_on_the_page("held", "--yes", operator.open("held", "--yes"))
    assert site.inactive() == gone
    assert "was approved already" in operator.open("held").said


def test_a_throttled_run_asks_slower(operator: Operator) -> None:
    site = operator.site
    site.api.change(rate=20, burst=2)
    site.api.reset()
    site.sync(expect=7)
    refused = site.status()["errors"]["rate_limited"]
    assert refused > 0
    assert_as_on_the_page("throttled", "", operator.refuse("throttled"))
    slower = operator.open("throttled", "--rate", "15", "--yes")
    assert_as_on_the_page("throttled", "--rate 15 --yes", slower)
    assert "rate_limited" not in site.status()["errors"]
    assert "Nothing to do" in operator.open("throttled").out


def test_a_new_api_key_is_put_in_place_once_it_works(operator: Operator) -> None:
    site = operator.site
    old, new = "old-" + KEY, KEY
    file = site.folder / "carsync.env"
    file.write_text(f"RPS=0\nAPI_KEY={old}\n# the end\n")
    file.chmod(0o640)
    site.variables["API_KEY"] = old
    words = ("api-key", "carsync.env", "--new-from", "-")
    wrong = operator.open("rotate-keys", *words, "--yes", stdin="wrong-key\n", expect=3)
    assert_as_on_the_page("rotate-keys", "api-key carsync.env  # a wrong one", wrong)
    assert old in file.read_text()
    looked = operator.open("rotate-keys", *words, stdin=new, expect=10)
    assert old in file.read_text()
    done = operator.open("rotate-keys", *words, "--yes", stdin=new)
    assert_as_on_the_page("rotate-keys", "api-key carsync.env", done)
    assert file.read_text() == f"RPS=0\nAPI_KEY={new}\n# the end\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert not list(site.folder.glob(".new-secret*"))
    for said in (wrong, looked, done):
        assert not {old, new, "wrong-key"} & set(said.out.replace(":", " ").split())
        assert old not in said.out
        assert new not in said.out
