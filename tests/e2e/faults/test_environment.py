"""A hostile environment: proxies, passwords and modules that nobody configured, and no DNS."""

from __future__ import annotations

import socket
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.fake_api import Reply, ScriptedApi, page_reply
from tests.support.folders import poison
from tests.support.site import CARSYNC, SimulatedSite, Site

NETRC_PASSWORD = "canary-netrc-5e1d"


def _car(number: int) -> dict[str, Any]:
    return {"id": number, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}}


def test_what_lies_around_is_not_used(scripted_api: ScriptedApi, scripted_site: Site) -> None:
    """Proxies, bundles and a netrc of the environment; modules in the current folder."""
    scripted_api.on("/cars", page_reply([_car(n) for n in range(20)], 1, 1, 20))
    host = scripted_api.base_url.removeprefix("http://").partition(":")[0]
    netrc = scripted_site.folder / ".netrc"
    netrc.write_text(f"machine {host} login someone password {NETRC_PASSWORD}\n")
    netrc.chmod(0o600)
    told = poison(scripted_site.folder)
    with ScriptedApi() as proxy:
        proxy.on("/cars", Reply(500))
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        scripted_site.variables |= dict.fromkeys(names, proxy.base_url)
        scripted_site.variables |= {name.lower(): proxy.base_url for name in names}
        bundles = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
        scripted_site.variables |= dict.fromkeys(bundles, "/nonexistent/bundle.pem")
        scripted_site.variables["NETRC"] = str(netrc)
        scripted_site.sync()
        assert proxy.connections == 0
    assert not told.exists(), f"imported from the current folder: {told.read_text()}"
    assert len(scripted_site.active()) == 20
    for arrival in scripted_api.arrivals:
        assert "authorization" not in arrival.headers
        assert NETRC_PASSWORD not in str(arrival.headers)


def test_a_run_whose_log_and_summary_fill_the_disk_is_a_run(site: SimulatedSite) -> None:
    program = ["sh", "-c", 'exec "$@" >/dev/full 2>/dev/full', "sh", *CARSYNC]
    site.check(site.start("--log-format", "json", "sync", program=program))
    site.assert_exact()


def test_a_machine_without_shared_memory_is_named_before_anything_is_touched(
    site: SimulatedSite,
) -> None:
    without = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o ro none /dev/shm && exec "$@"']
    if subprocess.run([*without, "sh", "true"], capture_output=True, check=False).returncode:
        pytest.skip("SKIPPED: needs root and unshare(1), to take /dev/shm away")
    running = site.start("sync", "--json", program=[*without, "sh", *CARSYNC])
    report = site.check(running, 2).report
    assert "semaphores" in report["problem"]
    assert "/dev/shm" in report["hint"]
    assert site.api.log == []
    assert site.rows() == []


def test_as_the_first_process_of_a_container_a_run_obeys_a_signal(site: SimulatedSite) -> None:
    """The kernel hands process 1 no signal that it has no handler for: nobody else handles it."""
    alone = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("SKIPPED: needs root and unshare(1), for a process name space of its own")
    site.api.hold(after=4)
    running = site.start("sync", "--json", program=[*alone, *CARSYNC])
    site.await_staged(4)
    (first,) = psutil.Process(running.process.pid).children()
    first.terminate()
    site.api.release()
    assert site.check(running, 143).report["state"] == "interrupted"
    site.sync()
    site.assert_exact()


BIND_AND_RUN = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
"""In a mount name space of its own: `sh -c … FILE COMMAND…` with FILE as the resolv.conf(5)."""


def _with_resolver(site: Site, address: str) -> list[str]:
    """Give the command as it runs where `address` is the only name server; skip where none can."""
    file: Path = site.folder / "resolv.conf"
    file.write_text(f"nameserver {address}\noptions timeout:30 attempts:5\n")
    program = ["unshare", "--mount", "sh", "-c", BIND_AND_RUN, str(file)]
    tried = subprocess.run([*program, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("SKIPPED: needs root and unshare(1), to bind-mount a resolv.conf of its own")
    return [*program, *CARSYNC]


def test_a_name_server_that_never_answers_ends_the_run_in_bounded_time(
    site: SimulatedSite,
) -> None:
    """Each lookup would take 150 s, longer than any fetcher thread is waited for."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as black_hole:
        try:
            black_hole.bind(("127.0.0.153", 53))
        except OSError:
            pytest.skip("SKIPPED: needs root, to take the port of a name server")
        program = _with_resolver(site, "127.0.0.153")
        site.variables["API_BASE_URL"] = "http://feed.carsync.test/api"
        site.settings |= {"api.timeout.connect_s": 0.7, "limits.retry.max_attempts": 4}
        running = site.start("sync", "--json", program=program)
        ended = site.check(running, 3)
        black_hole.setblocking(False)
        assert b"carsync" in black_hole.recv(512), "it was asked"
    assert "the API's host name cannot be resolved" in ended.report["detail"]
    assert "DNS" in ended.report["hint"]
    assert "restarting" not in ended.err
    assert ended.report["figures"]["attempts"] == 4
