"""HTTP over real sockets: what is read, what is refused, and that no request hangs or strays."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from carsync import __version__
from carsync.config.api_sections import Api, Auth, Pagination, Timeout
from carsync.errors import FailureKind, PageError
from carsync.model import ProbeVerdict
from carsync.redaction import Secret
from carsync.source import connection_pool
from carsync.source.client import ApiClient
from tests.support.fake_api import DrippingServer, Reply, ScriptedApi, page_reply, watched

KEY = "canary-key"
BODY = b'{"data": []}' * 50


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as scripted:
        yield scripted


def transport(api: ScriptedApi, **settings: object) -> ApiClient:
    section = Api(base_url=api.base_url, auth=Auth(key=Secret(KEY)), **settings)  # type: ignore[arg-type]
    return ApiClient(section, connections=2)


def failure(api: ScriptedApi, *replies: Reply, **settings: object) -> PageError:
    """Script page 1 and return the error that asking for it gives."""
    api.on("/cars", *replies, page=1)
    with pytest.raises(PageError) as caught:
        transport(api, **settings).get_page(1)
    return caught.value


def test_a_page_is_asked_for_with_key_number_and_size(api: ScriptedApi) -> None:
    api.on("/cars", page_reply([{"id": 1}]))

    answer = transport(api, params={"country": "kr"}).get_page(3)

    assert answer.body.startswith(b'{"data"')
    (arrival,) = api.arrivals
    assert arrival.query == {"country": "kr", "page": "3", "per_page": "100"}
    assert arrival.headers["x-api-key"] == KEY
    assert arrival.headers["accept-encoding"] == "gzip"
    assert arrival.headers["user-agent"] == f"carsync/{__version__}"


def test_a_link_is_followed_on_the_configured_origin_alone(api: ScriptedApi) -> None:
    api.on("/other/cars", page_reply([{"id": 1}]))
    linked = transport(api, pagination=Pagination(type="next_link"))
    linked.get_page(2, "/other/cars?c=a%2Fb==&per_page=100")
    (arrival,) = api.arrivals
    assert arrival.query == {"c": "a/b==", "per_page": "100"}
    assert arrival.headers["x-api-key"] == KEY
    with pytest.raises(PageError, match="another origin"):
        linked.get_page(2, "@127.0.0.1:1/cars")


@pytest.mark.parametrize(
    ("form", "kind", "sent"),
    [
        (False, "application/json", b'{"filter":{"make":"Kia"},"page":{"number":3,"size":100}}'),
        (True, "application/x-www-form-urlencoded", b"make=Kia&page.number=3&page.size=100"),
    ],
)
def test_paging_travels_in_a_body(api: ScriptedApi, form: bool, kind: str, sent: bytes) -> None:
    api.on("/cars", page_reply([]))
    keys = Pagination(page_param="page.number", size_param="page.size")
    body = {"make": "Kia"} if form else {"filter": {"make": "Kia"}}
    posting = transport(api, method="POST", form=form, body=body, pagination=keys)
    for _ in range(2):
        posting.get_page(3)
    posting.probe(["7"])
    first, second, probed = api.arrivals
    assert first.body == second.body == sent
    assert first.headers["content-type"] == kind
    assert (first.query, probed.body, probed.path) == ({}, b"", "/cars/7")
    assert "content-type" not in probed.headers


def test_names_with_brackets_arrive(api: ScriptedApi) -> None:
    api.on("/cars", page_reply([]))
    keys = Pagination(page_param="page[number]", size_param="page[size]", first_page=0)
    transport(api, pagination=keys).get_page(0)
    assert api.arrivals[0].query == {"page[number]": "0", "page[size]": "100"}


def test_the_key_travels_as_bearer_or_not_at_all(api: ScriptedApi) -> None:
    api.on("/cars", page_reply([]))
    for kind in ("bearer", "none"):
        section = Api(base_url=api.base_url, auth=Auth(type=kind, key=Secret(KEY)))
        ApiClient(section, connections=1).get_page(1)

    bearer, none = api.arrivals
    assert bearer.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(none.headers)


def test_gzip_is_undone_and_both_sizes_are_told(api: ScriptedApi) -> None:
    packed = gzip.compress(BODY)
    api.on("/cars", Reply(body=packed, headers={"Content-Encoding": "gzip"}))

    answer = transport(api).get_page(1)

    assert answer.body == BODY
    assert answer.wire_bytes == len(packed)


def test_members_of_a_gzip_stream_are_joined(api: ScriptedApi) -> None:
    packed = gzip.compress(b"[1,") + gzip.compress(b"2]")
    api.on("/cars", Reply(body=packed, headers={"Content-Encoding": "gzip"}))

    assert transport(api).get_page(1).body == b"[1,2]"


def test_a_connection_is_kept_and_survives_an_error_answer(api: ScriptedApi) -> None:
    api.on("/cars", Reply(500, b"no"), page_reply([]), page=1)
    client = transport(api)
    with pytest.raises(PageError):
        client.get_page(1)
    client.get_page(1)

    assert api.connections == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (204, FailureKind.BAD_PAGE),
        (301, FailureKind.CLIENT),
        (400, FailureKind.CLIENT),
        (401, FailureKind.AUTH),
        (403, FailureKind.AUTH),
        (404, FailureKind.CLIENT),
        (408, FailureKind.TIMEOUT),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.SERVER),
        (503, FailureKind.SERVER),
    ],
)
def test_each_status_has_its_verdict(api: ScriptedApi, status: int, kind: FailureKind) -> None:
    error = failure(api, Reply(status, b"" if status == 204 else b"words"))

    assert error.kind is kind
    assert error.status == status


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_refusal_that_says_that_nothing_is_left_waits_for_the_reset(
    api: ScriptedApi, status: int
) -> None:
    """GitHub's 403 has no Retry-After, and is no word about the key."""
    spent = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800"}
    error = failure(api, Reply(status, headers=spent))
    assert (error.kind, error.retry_after_s) == (FailureKind.RATE_LIMITED, 1800.0)
    left = failure(api, Reply(status, headers={**spent, "X-RateLimit-Remaining": "3"}))
    assert left.retry_after_s is None


def test_limits_are_told_of_the_last_answer_once(api: ScriptedApi) -> None:
    client = transport(api)
    api.on("/cars", page_reply([{"id": 1}]), page=2)
    told = {"RateLimit": '"default";r=50;t=30'}
    for reply in (Reply(200, BODY, told), Reply(500, headers=told)):
        api.on("/cars", reply, page=1)
        with suppress(PageError):
            client.get_page(1)
        assert [limit.remaining for limit in client.limits_told()] == [50]
        assert client.limits_told() == ()
    client.get_page(2)
    assert client.limits_told() == ()


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_read(api: ScriptedApi, status: int) -> None:
    error = failure(api, Reply(status, b"", {"Retry-After": "7"}))

    assert error.kind is FailureKind.RATE_LIMITED
    assert error.retry_after_s == 7


def test_a_redirect_is_refused_and_the_key_goes_nowhere(api: ScriptedApi) -> None:
    with ScriptedApi() as other:
        error = failure(api, Reply(302, b"", {"Location": f"{other.base_url}/cars"}))

        assert error.kind is FailureKind.CLIENT
        assert "redirect" in error.problem
        assert other.arrivals == []
    assert len(api.arrivals) == 1


def test_cookies_are_not_sent_back(api: ScriptedApi) -> None:
    api.on("/cars", Reply(body=BODY, headers={"Set-Cookie": "session=1"}))
    client = transport(api)
    client.get_page(1)
    client.get_page(1)

    assert "cookie" not in api.arrivals[1].headers


def test_the_environment_is_not_trusted(
    api: ScriptedApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    api.on("/cars", page_reply([]))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))

    transport(api).get_page(1)

    assert "authorization" not in api.arrivals[0].headers


@pytest.mark.parametrize("cut", [0, 1, 10, 30, 60])
@pytest.mark.parametrize("packed", [True, False])
def test_a_cut_answer_is_never_a_page(api: ScriptedApi, cut: int, packed: bool) -> None:
    body = gzip.compress(BODY) if packed else BODY
    headers = {"Content-Encoding": "gzip"} if packed else {}

    error = failure(api, Reply(body=body, headers=headers, cut_after=min(cut, len(body) - 1)))

    assert error.kind is FailureKind.NETWORK


def test_a_cut_gzip_stream_without_length_is_noticed(api: ScriptedApi) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"

    error = failure(api, Reply(raw=head + gzip.compress(BODY)[:-4]))

    assert error.kind is FailureKind.NETWORK
    assert "cut short" in error.problem


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_an_encoding_nobody_asked_for_is_refused(api: ScriptedApi, encoding: str) -> None:
    error = failure(api, Reply(body=BODY, headers={"Content-Encoding": encoding}))

    assert error.kind is FailureKind.BAD_PAGE


def test_damaged_gzip_is_a_bad_page(api: ScriptedApi) -> None:
    error = failure(api, Reply(body=b"\x1f\x8bnonsense", headers={"Content-Encoding": "gzip"}))

    assert error.kind is FailureKind.BAD_PAGE


def test_a_body_over_the_cap_is_refused(api: ScriptedApi) -> None:
    error = failure(api, Reply(body=b"x" * 5000), max_body_bytes=4999)

    assert error.kind is FailureKind.BAD_PAGE
    assert "max_body_bytes" in error.problem


def test_a_gzip_bomb_is_refused_without_being_unpacked(api: ScriptedApi) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    error = failure(
        api, Reply(body=bomb, headers={"Content-Encoding": "gzip"}), max_body_bytes=100_000
    )

    assert error.kind is FailureKind.BAD_PAGE
    assert "max_body_bytes" in error.problem


def test_silence_ends_at_the_read_timeout(api: ScriptedApi) -> None:
    error = failure(api, Reply(delay_s=5), timeout=Timeout(read_s=0.2))

    assert error.kind is FailureKind.TIMEOUT
    assert "read_s" in error.problem


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Endless: header\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["body", "headers", "one header", "chunks"],
)
def test_an_answer_that_drips_ends_at_the_total_deadline(first: bytes, drop: bytes) -> None:
    with DrippingServer(first, drop, every_s=0.02) as base_url:
        section = Api(base_url=base_url, timeout=Timeout(read_s=5, total_s=0.5))
        client = ApiClient(section, connections=1)
        started = time.monotonic()
        with watched(client), pytest.raises(PageError) as caught:
            client.get_page(1)

    assert caught.value.kind is FailureKind.TIMEOUT
    assert "total_s" in caught.value.problem
    assert time.monotonic() - started < 4  # and not the read timeout's 5 s


def test_a_refused_connection_says_so() -> None:
    section = Api(base_url="http://127.0.0.1:1")
    with pytest.raises(PageError) as caught:
        ApiClient(section, connections=1).get_page(1)

    assert caught.value.kind is FailureKind.NETWORK
    assert "refuses" in caught.value.problem
    assert caught.value.first_attempts == 2


def test_an_unknown_host_says_so() -> None:
    section = Api(base_url="http://no-such-host.invalid")
    with pytest.raises(PageError) as caught:
        ApiClient(section, connections=1).get_page(1)

    assert caught.value.kind is FailureKind.NETWORK
    assert "resolved" in caught.value.problem
    assert caught.value.first_attempts in {2, None}  # None: there is no DNS here at all


@contextmanager
def silent_http() -> Iterator[str]:
    """Serve http that waits for the end of a request's first line, as some servers do."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            for _ in range(2):
                connection = stack.enter_context(listener.accept()[0])
                if connection.recv(5) == b"HEAD ":
                    connection.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def https_failure(url: str) -> PageError:
    with pytest.raises(PageError) as caught:
        ApiClient(Api(base_url=url), connections=1).get_page(1)
    return caught.value


def test_https_to_a_port_that_speaks_http_says_so_at_once(
    api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_pool, "HANDSHAKE_S", 0.3)
    started = time.monotonic()
    with silent_http() as silent:
        for url in (api.base_url.replace("http:", "https:"), silent):
            error = https_failure(url)
            assert error.problem == "the port of api.base_url speaks http, not https"
            assert "http://" in error.hint
            assert error.first_attempts == 1
    assert time.monotonic() - started < 5
    assert KEY not in str(api.arrivals)


def test_a_port_that_speaks_neither_is_not_taken_for_http() -> None:
    refusal = b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n\r\n"
    for said in (refusal, b"SSH-2.0-OpenSSH\r\n"):
        with DrippingServer(said, b".", 9) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            assert not connection_pool.speaks_http(host, int(port))


@pytest.mark.parametrize(
    "raw", [b"", b"\x00\x01\x02", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n"]
)
def test_what_is_not_http_is_a_network_failure(api: ScriptedApi, raw: bytes) -> None:
    assert failure(api, Reply(raw=raw)).kind is FailureKind.NETWORK


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (Reply(404), ProbeVerdict.GONE),
        (Reply(410), ProbeVerdict.GONE),
        (Reply(200, {"id": 7}), ProbeVerdict.ALIVE),
        (Reply(500), ProbeVerdict.NOTHING),
        (Reply(302, b"", {"Location": "/"}), ProbeVerdict.NOTHING),
        (Reply(raw=b""), ProbeVerdict.NOTHING),
    ],
)
def test_a_record_is_gone_alive_or_unproven(
    api: ScriptedApi, reply: Reply, verdict: ProbeVerdict
) -> None:
    api.on("/cars/a%2Fb", reply)

    found = transport(api).probe(["a/b"])

    assert found.verdict is verdict
    assert api.arrivals[0].path == "/cars/a%2Fb"


@pytest.mark.parametrize(("status", "kind"), [(401, "auth"), (429, "rate_limited")])
def test_a_failure_all_requests_share_is_raised_by_a_probe(
    api: ScriptedApi, status: int, kind: str
) -> None:
    api.on("/cars/7", Reply(status))
    with pytest.raises(PageError) as caught:
        transport(api).probe(["7"])

    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("path", "asked", "query"),
    [
        ("cars", "/cars", {}),
        ("/cars?country=kr&sort=id", "/cars", {"country": "kr", "sort": "id"}),
        ("/cars/", "/cars/", {}),
        ("/cars?$filter=City eq 'Seoul'", "/cars", {"$filter": "City eq 'Seoul'"}),
    ],
)
def test_a_path_may_lack_its_slash_and_hold_a_query(
    api: ScriptedApi, path: str, asked: str, query: dict[str, str]
) -> None:
    api.on(asked, Reply(body=BODY))
    transport(api, path=path).get_page(1)
    arrival = api.arrivals[0]
    assert (arrival.path, arrival.page) == (asked, 1)
    assert arrival.query.items() >= query.items()


@pytest.mark.parametrize(
    "path", ["@{host}/x", "//{host}/x", "http://{host}/x", "\\\\{host}/x", ":80/x"]
)
def test_no_path_leads_the_key_to_another_origin(api: ScriptedApi, path: str) -> None:
    with ScriptedApi() as other:
        client = transport(api, path=path.format(host=other.base_url.partition("//")[2]))
        with pytest.raises(PageError):
            client.get_page(1)
        client._base_url = other.base_url
        with pytest.raises(PageError, match="another origin"):
            client.get_page(1)
        assert (other.arrivals, len(api.arrivals) > 0) == ([], True)


@pytest.mark.parametrize(
    ("location", "where", "key"),
    [
        ("/cars/", "to /cars/", "api.path"),
        ("{base}/cars/?api_key=hush", "/cars/;", "api.path"),
        ("https://elsewhere.test/cars", "to https://elsewhere.test/cars", "api.base_url"),
    ],
)
def test_a_redirect_says_where_to(api: ScriptedApi, location: str, where: str, key: str) -> None:
    location = location.format(base=api.base_url)
    error = failure(api, Reply(301, b"", {"Location": location}))
    assert where in error.problem
    assert key in error.hint
    assert "hush" not in error.problem


@pytest.mark.parametrize("charset", ["latin-1", "ISO-8859-1", '"windows-1252"'])
def test_an_answer_in_another_charset_is_read(api: ScriptedApi, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    api.on("/cars", Reply(body='{"model": "Citroën"}'.encode("latin-1"), headers=headers))
    assert json.loads(transport(api).get_page(1).body) == {"model": "Citroën"}


def test_an_unknown_charset_is_named(api: ScriptedApi) -> None:
    headers = {"Content-Type": "application/json; charset=klingon"}
    assert "klingon" in failure(api, Reply(body=b"{}", headers=headers)).problem


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "per_page must be 10, 25 or 50"}, "per_page must be 10, 25 or 50"),
        ({"errors": [{"detail": "page\tout of\nrange"}]}, "page out of range"),
        ({"error": {"code": 4, "message": "quota"}}, "quota"),
        (b"plain words", "plain words"),
        (b"<html>sorry</html>", ""),
        ({"message": f"no such key: {KEY}"}, "no such key: ***"),
        ({"message": "x" * 1000}, "x" * 200 + "…"),
        (b"\xff\x00\x1b[31m", "� [31m"),
        ({}, ""),
    ],
)
def test_a_refusal_quotes_the_servers_own_words(api: ScriptedApi, body: object, said: str) -> None:
    error = failure(api, Reply(400, body))
    assert error.detail == (f'it says "{said}"' if said else "")
