"""A web hook over real sockets: what is tried again, and that nothing hangs or leaks."""

from __future__ import annotations

import logging
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from carsync import logging_setup
from carsync.config.sections import Notify
from carsync.errors import NoticeError
from carsync.redaction import Secret
from carsync.reporting.notify import webhook
from carsync.reporting.notify.webhook import deliver
from tests.support.fake_api import DrippingServer, Reply, ScriptedApi

PATH = "/services/T0CANARY/Xhush"
BODY = b'{"text":"down"}'


@pytest.fixture
def hook() -> Iterator[ScriptedApi]:
    with ScriptedApi() as scripted:
        yield scripted


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are short, and a proxy of the environment would swallow everything."""
    monkeypatch.setattr(webhook, "BACK_OFF_S", 0.02)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def notify(base_url: str, **settings: Any) -> Notify:
    return Notify(url=Secret(base_url + PATH), **{"timeout_s": 5.0, **settings})


def refused(base_url: str, **settings: Any) -> NoticeError:
    """Return the error of a delivery; nothing of it, the traceback included, holds the address."""
    with pytest.raises(NoticeError) as caught:
        deliver(notify(base_url, **settings), BODY)
    told = "".join(traceback.format_exception(caught.value))
    assert "CANARY" not in told + repr(vars(caught.value))
    assert "hush" not in told
    return caught.value


@pytest.mark.parametrize("status", [200, 204])
def test_a_notice_is_one_post(hook: ScriptedApi, status: int) -> None:
    hook.on(PATH, Reply(status, b"ok" if status == 200 else b""))
    deliver(notify(hook.base_url), BODY)
    (arrival,) = hook.arrivals
    assert arrival.body == BODY
    assert arrival.headers["content-type"] == "application/json"
    assert arrival.headers["user-agent"].startswith("carsync/")
    assert not {"cookie", "authorization", "x-api-key"} & arrival.headers.keys()


@pytest.mark.parametrize("first", [Reply(500), Reply(503), Reply(429), Reply(raw=b"")])
def test_what_may_pass_is_tried_again(hook: ScriptedApi, first: Reply) -> None:
    hook.on(PATH, first, first, Reply(200, b"ok"))
    deliver(notify(hook.base_url), BODY)
    assert [arrival.body for arrival in hook.arrivals] == [BODY] * 3


def test_attempts_are_counted(hook: ScriptedApi) -> None:
    hook.on(PATH, Reply(502))
    assert refused(hook.base_url, attempts=3).problem == "the web hook answered HTTP 502"
    assert len(hook.arrivals) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_what_will_not_pass_is_not_tried_again(hook: ScriptedApi, status: int) -> None:
    hook.on(PATH, Reply(status, b"no_service"))
    error = refused(hook.base_url)
    assert len(hook.arrivals) == 1
    assert (error.problem, error.detail) == (f"the web hook answered HTTP {status}", "no_service")
    assert "notify.url" in error.hint


def test_an_answer_that_holds_the_address_is_not_told(hook: ScriptedApi) -> None:
    hook.on(PATH, Reply(404, f"no such page: {PATH}".encode()))
    assert refused(hook.base_url).detail == ""


def test_an_unreadable_bundle_is_named() -> None:
    error = refused("https://127.0.0.1:9", ca_bundle="/nowhere/ca.pem")
    assert "/nowhere/ca.pem: No such file" in error.detail


def test_a_header_that_is_none_is_nobodys_concern(
    hook: ScriptedApi, capfd: pytest.CaptureFixture[str]
) -> None:
    """urllib3 would log it with the whole address, port included, and a traceback."""
    logging_setup.set_up("text", logging.DEBUG)
    hook.on(PATH, Reply(raw=b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 0\r\n\r\n"))
    deliver(notify(hook.base_url), BODY)
    assert capfd.readouterr().err == ""


def test_a_redirect_is_refused(hook: ScriptedApi) -> None:
    with ScriptedApi() as elsewhere:
        hook.on(PATH, Reply(307, headers={"Location": f"{elsewhere.base_url}/x"}))
        assert "redirects are refused" in refused(hook.base_url).problem
        assert elsewhere.arrivals == []
    assert len(hook.arrivals) == 1


def test_a_wait_beyond_the_budget_is_not_waited_for(hook: ScriptedApi) -> None:
    hook.on(PATH, Reply(429, headers={"Retry-After": "3600"}))
    started_s = time.monotonic()
    assert "429" in refused(hook.base_url).problem
    assert len(hook.arrivals) == 1
    assert time.monotonic() - started_s < 5


def test_a_hook_that_says_nothing_is_given_up_in_time(hook: ScriptedApi) -> None:
    hook.on(PATH, Reply(delay_s=60))
    started_s = time.monotonic()
    assert "no answer within" in refused(hook.base_url, timeout_s=0.2, attempts=2).problem
    assert time.monotonic() - started_s < 5
    assert len(hook.arrivals) == 2


def test_a_hook_that_drips_is_given_up_in_time() -> None:
    started_s = time.monotonic()
    with DrippingServer(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", 0.02) as base_url:
        assert "no answer within" in refused(base_url, timeout_s=0.3, attempts=1).problem
    assert time.monotonic() - started_s < 5


def test_all_attempts_together_stay_within_the_budget(hook: ScriptedApi) -> None:
    hook.on(PATH, Reply(delay_s=60))
    started_s = time.monotonic()
    with pytest.raises(NoticeError):
        deliver(notify(hook.base_url, attempts=100, timeout_s=0.2), BODY, budget_s=0.7)
    assert time.monotonic() - started_s < 5
    assert 2 <= len(hook.arrivals) < 6


def test_a_hook_that_is_not_there_is_told_as_such() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed_soon:
        port = closed_soon.getsockname()[1]
    error = refused(f"http://127.0.0.1:{port}", attempts=2)
    assert (error.problem, error.detail) == (
        "the web hook cannot be reached",
        "Connection refused",
    )
    assert "cannot be reached" in refused("http://nowhere.invalid", attempts=1).problem


def test_tls_with_a_plain_server_fails_and_is_not_tried_again(hook: ScriptedApi) -> None:
    error = refused(hook.base_url.replace("http:", "https:"))
    assert error.problem == "TLS with the web hook failed"
    assert error.detail == "the port speaks http, not https"
    assert hook.connections == 2  # the handshake, and the question whether it speaks http


@pytest.mark.parametrize("reply", [Reply(delay_s=60), Reply(500)])
def test_the_end_comes_at_once_when_it_is_asked_for(
    hook: ScriptedApi, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "BACK_OFF_S", 20.0)
    hook.on(PATH, reply)
    started_s = time.monotonic()
    with pytest.raises(NoticeError):
        deliver(
            notify(hook.base_url, timeout_s=30.0),
            BODY,
            lambda: bool(hook.arrivals) and time.monotonic() - started_s > 0.2,
        )
    assert time.monotonic() - started_s < 5
    assert len(hook.arrivals) == 1
