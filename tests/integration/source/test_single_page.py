"""One page asked for outside of a run: as a run asks, and never for longer than its deadline."""

from __future__ import annotations

import pytest

from carsync.config.api_sections import Api, Auth, Pagination, Timeout
from carsync.errors import FailureKind, PageError
from carsync.redaction import Secret
from carsync.source import single_page
from carsync.source.client import ApiClient
from carsync.source.single_page import ask_page
from tests.support.fake_api import DrippingServer, Reply, ScriptedApi, page_reply


def test_the_first_page_is_asked_for_once_and_any_other_by_its_number() -> None:
    with ScriptedApi() as feed:
        feed.on("/cars", page_reply([{"id": 1}]))
        api = Api(
            base_url=feed.base_url,
            auth=Auth(key=Secret("hush")),
            pagination=Pagination(first_page=0),
        )
        assert ask_page(api).body.startswith(b'{"data"')
        ask_page(api, 7)
        assert [arrival.page for arrival in feed.arrivals] == [0, 7]
        assert feed.arrivals[0].headers["x-api-key"] == "hush"
        assert feed.arrivals[0].headers["user-agent"].startswith("carsync/")


def test_a_failure_is_not_tried_again() -> None:
    with ScriptedApi() as feed:
        feed.on("/cars", Reply(500))
        with pytest.raises(PageError) as caught:
            ask_page(Api(base_url=feed.base_url))
        assert (caught.value.status, len(feed.arrivals)) == (500, 1)


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    timeout = Timeout(connect_s=0.3, read_s=5, total_s=0.3)
    with DrippingServer(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.02) as url:
        with pytest.raises(PageError) as caught:
            ask_page(Api(base_url=url, timeout=timeout))
        assert caught.value.kind is FailureKind.TIMEOUT
        assert "within api.timeout.total_s (0.3 s)" in caught.value.problem
        # Also where the connection cannot be shut: the thread is left behind.
        monkeypatch.setattr(single_page, "_GRACE_S", -0.3)
        monkeypatch.setattr(ApiClient, "enforce_deadlines", lambda _: None)
        with pytest.raises(PageError, match=r"no complete answer within 0\.3 s"):
            ask_page(Api(base_url=url, timeout=timeout))
