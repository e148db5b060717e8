"""A limiter that carsync is not told of: it asks slower, reads the whole feed, and ends with 0."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

import pytest

from carsync.source.rate_limit import ARRIVAL_JITTER_S
from tests.support.fake_api import Arrival, Reply
from tests.support.gates import excess
from tests.support.limiters import Limiter, leaky, window
from tests.support.small_feed import SmallFeed, SmallSite

RATE = 40.0
"""What carsync is configured to ask at, a second."""
BURST = 20
HTML = Reply(503, b"<html>503 Service Temporarily Unavailable</html>")


class LimitedFeed(SmallFeed):
    """Refuses what its `limiter` does not allow, with `refusal`."""

    def __init__(self) -> None:
        super().__init__()
        self.ids = list(range(1, 61))
        self.limiter: Limiter = lambda now_s: True
        self.refusal = HTML
        self.refused = 0
        self._guard = Lock()

    def answer(self, arrival: Arrival) -> Reply:
        """Refuse or answer."""
        with self._guard:
            if not self.limiter(time.monotonic()):
                self.arrivals.append(arrival)
                self.refused += 1
                return self.refusal
        return super().answer(arrival)


@pytest.fixture
def feed() -> Iterator[LimitedFeed]:
    with LimitedFeed() as feed:
        yield feed


@pytest.fixture
def site(feed: LimitedFeed, dsn: str, tmp_path: Path) -> Iterator[SmallSite]:
    site = SmallSite(feed, dsn, tmp_path)
    site.variables["RPS"] = str(RATE)
    site.settings["limits.burst"] = BURST
    yield site
    site.close()


FORBIDDEN = Reply(403, {"detail": "You do not have permission to perform this action."})
SOON_OVER = {
    "limits.circuit_breaker.failures": 3,
    "limits.circuit_breaker.open_s": 0.05,
    "limits.circuit_breaker.give_up_after": 2,
}


@pytest.mark.parametrize(
    ("limiter", "refusal"),
    [
        pytest.param(leaky(20, 4), HTML, id="nginx"),
        pytest.param(window(10, 0.5), FORBIDDEN, id="django-ratelimit", marks=pytest.mark.long),
        pytest.param(leaky(20, 4), Reply(420, b""), id="420", marks=pytest.mark.long),
        pytest.param(
            leaky(20, 4),
            Reply(429, {"message": "Too Many Attempts."}),
            id="429",
            marks=pytest.mark.long,
        ),
        pytest.param(leaky(20, 4), Reply(403, b"", {"Retry-After": "1"}), id="403, Retry-After"),
    ],
)
def test_a_feed_behind_a_limiter_comes_whole(
    feed: LimitedFeed, site: SmallSite, limiter: Limiter, refusal: Reply
) -> None:
    feed.limiter, feed.refusal = limiter, refusal
    ended = site.sync()
    assert site.living() == set(feed.ids)
    assert 0 < feed.refused < len(feed.ids) / 3
    assert ended.report["figures"]["breaker_openings"] == 0
    assert f"(HTTP {refusal.status}): carsync asked slower" in " ".join(ended.report["notes"])
    times = [arrival.monotonic_s for arrival in feed.arrivals]
    assert excess(times, RATE, BURST) <= RATE * ARRIVAL_JITTER_S


@pytest.mark.long
def test_without_adaptive_the_circuit_breaker_answers_as_ever(
    feed: LimitedFeed, site: SmallSite
) -> None:
    feed.limiter = leaky(2, 0)
    ended = site.sync(expect=3, limits__adaptive=False, **SOON_OVER)
    assert "circuit breaker" in ended.report["problem"]
    assert ended.report["figures"]["slowed"] is None


def test_a_403_before_any_page_is_the_keys(feed: LimitedFeed, site: SmallSite) -> None:
    feed.limiter, feed.refusal = lambda now_s: False, FORBIDDEN
    ended = site.sync(expect=3)
    assert ended.report["problem"].startswith("the API refused the key (HTTP 403)")
    assert feed.refused == 1


@pytest.mark.long
def test_a_403_that_slowing_down_does_not_help_ends_the_run_and_the_next_one_resumes(
    feed: LimitedFeed, site: SmallSite
) -> None:
    """The next run's first request goes alone: behind a limiter it is let through."""
    feed.limiter, feed.refusal = window(10, 1e9), FORBIDDEN
    ended = site.sync(expect=3, **SOON_OVER)
    assert "the API refused the key (HTTP 403)" in ended.report["detail"]
    assert "API_KEY" in ended.report["hint"]
    assert feed.refused < 40
    assert site.living() == set()

    feed.limiter = window(4, 0.2)
    again = site.sync_again(0)
    assert again.report["run_id"] == ended.report["run_id"]
    assert site.living() == set(feed.ids)


@pytest.mark.long
def test_a_403_for_one_page_is_that_pages(feed: LimitedFeed, site: SmallSite) -> None:
    feed.show = lambda page: FORBIDDEN if page == 7 else feed.honest_page(page)
    ended = site.sync(expect=5)
    assert "HTTP 403" in ended.report["detail"]
    assert site.living() == set(feed.ids) - {7}
    assert feed.pages_asked().count(7) < 20


@pytest.mark.long
def test_cars_are_proved_gone_by_id_behind_a_limiter(feed: LimitedFeed, site: SmallSite) -> None:
    """A record that is refused once is asked for once more."""
    refused = set[int]()

    def tell(number: int) -> Reply:
        if number in feed.ids or number in refused:
            return feed.honest_record(number)
        refused.add(number)
        return HTML

    feed.tell = tell
    feed.ids = feed.ids[:40]
    site.sync()
    feed.ids = feed.ids[:-5]
    feed.meta = lambda page: None
    feed.limiter = leaky(20, 2)
    site.sync_again(0, **{"sync.deactivate.max_share": 0.5})
    assert site.living() == set(feed.ids)
