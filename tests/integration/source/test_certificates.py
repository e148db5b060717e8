"""A server that asks for a client's certificate, and certificates that cannot be shown."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from carsync.config.api_sections import Api, Auth
from carsync.errors import ConfigError, PageError
from carsync.source.certificates import check_certificates
from carsync.source.single_page import ask_page
from tests.support.fake_api import SecureApi, page_reply

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed")


def made(folder: Path, name: str, *more: str) -> tuple[str, str]:
    """Make a certificate for 127.0.0.1 that signs itself; return its file and its key's."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
    command = [str(OPENSSL), "req", "-x509", *curve, *names, "-days", "2", *(more or ("-nodes",))]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True
    )
    return str(cert), str(key)


def test_the_certificate_is_shown_to_an_api_that_asks_for_one(tmp_path: Path) -> None:
    server, client = made(tmp_path, "server"), made(tmp_path, "client")
    with SecureApi(*server, clients=client[0]) as api:
        api.on("/cars", page_reply([{"id": 1}]))
        base = {"base_url": api.base_url, "ca_bundle": server[0], "auth": Auth(type="none")}
        both = tmp_path / "both.pem"
        both.write_text(Path(client[0]).read_text() + Path(client[1]).read_text())
        for files in (
            {"client_cert": client[0], "client_key": client[1]},
            {"client_cert": str(both)},
        ):
            assert ask_page(Api(**base, **files)).body  # type: ignore[arg-type]
        with pytest.raises(PageError):
            ask_page(Api(**base))  # type: ignore[arg-type]


def test_a_certificate_that_cannot_be_shown_is_named_before_a_request(tmp_path: Path) -> None:
    cert, key = made(tmp_path, "client")
    _, other = made(tmp_path, "other")
    _, locked = made(tmp_path, "locked", "-passout", "pass:hush-7f3a")
    junk = tmp_path / "junk"
    junk.write_text("no certificate")
    for files, words in (
        ((str(tmp_path / "none"), None), "api.client_cert cannot be read"),
        ((cert, str(tmp_path / "none")), "api.client_key cannot be read"),
        ((cert, other), "do not belong together"),
        ((cert, locked), "the private key in api.client_key is encrypted"),
        ((cert, None), "api.client_cert cannot be used"),
        ((str(junk), None), "api.client_cert cannot be used"),
    ):
        with pytest.raises(ConfigError) as caught:
            check_certificates(Api(client_cert=files[0], client_key=files[1]))
        assert words in caught.value.problem
        assert caught.value.detail
    check_certificates(Api(client_cert=cert, client_key=key))
