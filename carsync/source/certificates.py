"""The certificates that a server's own is verified against, and the one that we show."""

from __future__ import annotations

import ssl
from pathlib import Path

from msgspec import Struct

from carsync.config.api_sections import Api
from carsync.errors import ConfigError


def load_certificates(context: ssl.SSLContext, place: str) -> None:
    """Let `context` trust the certificates of a file or a folder; raise `OSError`."""
    if Path(place).is_dir():
        context.load_verify_locations(capath=place)
    else:
        context.load_verify_locations(cafile=place)


def check_ca_bundle(ca_bundle: str | None) -> None:
    """Raise `ConfigError` where the certificates of `ca_bundle` cannot be read; None: no bundle."""
    if ca_bundle is None:
        return
    try:
        load_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca_bundle)
    except OSError as exc:
        raise ConfigError(
            "a ca_bundle of the configuration cannot be read",
            detail=f"{ca_bundle}: {exc.strerror or exc}",
            hint="it is a file of certificates (PEM), or a folder of them (openssl rehash)",
        ) from None


def check_certificates(api: Api) -> None:
    """Raise `ConfigError` where a certificate of the configuration cannot be used."""
    check_ca_bundle(api.ca_bundle)
    if (shown := ClientCertificate.of(api)) is not None:
        shown.check()


class ClientCertificate(Struct, frozen=True):
    """The certificate that we show, and the file of its private key (None: it is in there)."""

    cert: str
    key: str | None

    @classmethod
    def of(cls, api: Api) -> ClientCertificate | None:
        """Return the certificate of `api.client_cert`, None where there is none."""
        return None if api.client_cert is None else cls(api.client_cert, api.client_key)

    @property
    def files(self) -> tuple[str, str]:
        """The certificate's file and the key's."""
        return self.cert, self.key or self.cert

    def check(self) -> None:
        """Raise `ConfigError` where the certificate cannot be used."""
        self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let `context` show the certificate; raise `ConfigError` where it cannot be used."""
        for key, file in (("api.client_cert", self.cert), ("api.client_key", self.key)):
            try:
                if file is not None:
                    Path(file).read_bytes()
            except OSError as exc:
                raise ConfigError(
                    f"{key} cannot be read", detail=f"{file}: {exc.strerror or exc}"
                ) from None
        asked: list[bool] = []

        def no_password() -> str:
            asked.append(True)
            return ""

        try:
            context.load_cert_chain(self.cert, self.key, password=no_password)
        except (OSError, ValueError) as exc:
            raise self._unusable(exc, is_encrypted=bool(asked)) from None

    def _unusable(self, exc: Exception, *, is_encrypted: bool) -> ConfigError:
        name = "api.client_cert" if self.key is None else "api.client_key"
        if is_encrypted:
            return ConfigError(
                f"the private key in {name} is encrypted",
                detail=self.files[1],
                hint="write one without a password (openssl pkey -in KEY -out PLAIN), chmod 600, "
                "or hand it over by LoadCredential=",
            )
        if "MISMATCH" in (getattr(exc, "reason", None) or ""):
            return ConfigError(
                "api.client_cert and api.client_key do not belong together",
                detail=f"{self.cert}, {self.files[1]}",
                hint="the key must be the one that the certificate was made for",
            )
        return ConfigError(
            "api.client_cert cannot be used",
            detail=f"{self.cert}, {self.files[1]}: no certificate with its private key (PEM)",
            hint="the files begin with -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----",
        )
