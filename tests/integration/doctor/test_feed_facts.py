"""The feed looked at: a real TLS server, its first page, and no wait without an end."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from carsync.config.api_sections import Api
from carsync.config.parser import parse
from carsync.doctor import examine, way_facts
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import Finding, Level
from tests.support.fake_api import DrippingServer, ScriptedApi, SecureApi, page_reply
from tests.support.findings import by_name
from tests.support.folders import GOLDEN_FILE

OPENSSL = shutil.which("openssl")


AUTHORITY = """
[ca]
default_ca = own
[own]
new_certs_dir = {folder}
database = {folder}/index
serial = {folder}/serial
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = IP:127.0.0.1
[req]
distinguished_name = none
[none]
"""


def certificate(folder: Path, until: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1, valid from 2020 `until` a moment."""
    (folder / "cnf").write_text(AUTHORITY.format(folder=folder))
    (folder / "index").write_text("")
    (folder / "serial").write_text("01")
    key, wish, made = folder / "key", folder / "wish", folder / f"{until}.pem"

    def openssl(*words: str | Path) -> None:
        command = [str(OPENSSL), *map(str, words), "-config", str(folder / "cnf")]
        subprocess.run(command, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-new", *curve, "-keyout", key, "-out", wish, "-subj", "/CN=doctor")
    dates = ("-startdate", "20200101000000Z", "-enddate", until)
    openssl("ca", "-batch", "-selfsign", "-in", wish, "-keyfile", key, "-out", made, *dates,
            "-notext")  # fmt: skip
    return made, key


def examine_api(api: ScriptedApi, more: str = "", **variables: str) -> dict[str, Finding]:
    environ = {"API_BASE_URL": api.base_url, "API_KEY": "hush-key", **variables}
    groups = examine.examine(parse(more, environ), Origin(None), None, lambda _: None)
    return by_name(groups, "API")


@pytest.mark.skipif(OPENSSL is None, reason="LOUD: openssl is not on the PATH")
def test_certificates_are_verified_as_a_run_does_and_failures_explained(tmp_path: Path) -> None:
    made, key = certificate(tmp_path, "20991231000000Z")
    trusting = f"api: {{ca_bundle: '{made}'}}"
    with SecureApi(made, key) as api:
        api.on("/cars", page_reply([{"id": 1}]))
        found = examine_api(api)
        assert "self-signed" in found["TLS"].seen
        assert "api.ca_bundle" in found["TLS"].fix
        assert api.arrivals == [], "no key goes to a host that is not who it says"
        found = examine_api(api, trusting)
        assert found["TLS"].level is Level.OK
        asked = len(api.arrivals)
        assert asked
        _, port, _ = way_facts.host_of(api.base_url)
        other = way_facts.read_certificate("localhost", port, Api(ca_bundle=str(made)), 2)
        assert "ostname mismatch" in other.error
        assert "certificate by doctor" in found["TLS"].seen
        assert len(api.arrivals) == asked
        missing = examine_api(api, "api: {ca_bundle: /nowhere.pem}")["TLS"]
        assert "api.ca_bundle cannot be read" in missing.seen
    made, key = certificate(tmp_path, "20210101000000Z")
    with SecureApi(made, key) as api:
        found = examine_api(api, f"api: {{ca_bundle: '{made}'}}")
        assert "expired" in found["TLS"].seen
        assert found["answer"].level is Level.SKIPPED


def test_the_first_page_judges_key_shape_and_mapping(tmp_path: Path) -> None:
    records = [case["record"] for case in json.loads(GOLDEN_FILE.read_text())[:20]]
    records[3] = {**records[3], "manufacturer": None, "echo": "hush-key"}
    with ScriptedApi() as api:
        api.on("/cars", page_reply(records, last_page=2, total=40))
        found = examine_api(api, PAGE_SIZE="20")
        assert {arrival.headers["x-api-key"] for arrival in api.arrivals} == {"hush-key"}
        assert found["mapping"].level is Level.WARNING
        assert found["mapping"].seen.startswith("19 of 20 records become rows: make: missing")
        assert found["totals"].seen == "2 pages, 40 records"
        named = examine_api(api, "api: {pagination: {records: cars}}")
        assert "{records: data, total_pages: meta.last_page" in named["records"].fix
        api.on("/cars", page_reply(records))
        assert "hush-key" not in str(examine_api(api))


def test_an_answer_that_drips_for_ever_ends_with_its_deadline() -> None:
    waits = "api: {timeout: {connect_s: 0.4, read_s: 5, total_s: 0.5}}"
    with DrippingServer(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.02) as url:
        asked = parse(waits, {"API_BASE_URL": url})
        groups = examine.examine(asked, Origin(None), None, lambda _: None)
    found = by_name(groups, "API")
    assert found["answer"].level is Level.PROBLEM
    assert "total_s (0.5 s)" in found["answer"].seen


def test_a_dripping_handshake_ends_in_time() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        found = way_facts.read_certificate("127.0.0.1", port, Api(), 0.3)
    assert found.error == "no TLS handshake within 0.3 s"


def test_a_port_that_speaks_http_is_named() -> None:
    with ScriptedApi() as api:
        port = int(api.base_url.rpartition(":")[2])
        assert way_facts.read_certificate("127.0.0.1", port, Api(), 3) == way_facts.PLAIN_HTTP
