"""Credentials that systemd hands over as files (systemd.exec(5), CREDENTIALS) act as variables.

A file `API_KEY` in `$CREDENTIALS_DIRECTORY` gives the variable `API_KEY`. `LoadCredential=`
of a whole folder puts its own name before each file's: with `carsync` that is
`carsync_API_KEY`, which gives the same variable.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from carsync.errors import ConfigError

log = logging.getLogger(__name__)

DIRECTORY = "CREDENTIALS_DIRECTORY"
PREFIX = "carsync_"
"""`LoadCredential=carsync:FOLDER` puts this before the names."""
MAX_BYTES = 64 * 1024

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Variables(Mapping[str, str]):
    """The environment, and below it the credentials, each read when it is first needed.

    A variable that is not empty wins over the credential of its name. An empty credential
    counts as missing. Reading raises `ConfigError` for a credential that is no text.

    >>> Variables({"RPS": "5"}).get("RPS")
    '5'
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the real environment; `$CREDENTIALS_DIRECTORY` names the folder of credentials."""
        self._environ = environ
        folder = environ.get(DIRECTORY, "")
        self._folder = Path(folder) if folder.startswith("/") else None
        self._read: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if value := self._environ.get(name):
            return value
        if name not in self._read:
            self._read[name] = self._credential(name)
        return self._read[name] or self._environ[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._environ, *sorted(self._names() - set(self._environ))])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def shadowed(self) -> list[str]:
        """Return the names of the credentials that an environment variable overrides."""
        return sorted(name for name in self._names() if self._environ.get(name))

    def _names(self) -> set[str]:
        try:
            found = [] if self._folder is None else list(self._folder.iterdir())
        except OSError:
            return set()
        return {path.name.removeprefix(PREFIX) for path in found if _NAME.fullmatch(path.name)}

    def _credential(self, name: str) -> str:
        """Return the text of the credential `name`; empty where there is none."""
        if self._folder is None or not _NAME.fullmatch(name):
            return ""
        for file in (self._folder / name, self._folder / f"{PREFIX}{name}"):
            try:
                with file.open("rb") as stream:
                    raw = stream.read(MAX_BYTES + 1)
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise _unusable(file, "cannot be read", exc.strerror or "") from None
            return _text(file, raw)
        return ""


def _text(file: Path, raw: bytes) -> str:
    """Return the text of the file, without the line break at its end."""
    if len(raw) > MAX_BYTES:
        raise _unusable(file, "is too large", f"more than {MAX_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _unusable(file, "is not UTF-8 text", "") from None
    if "\0" in text:
        raise _unusable(file, "contains a NUL character", "")
    return text.removesuffix("\n").removesuffix("\r")


def _unusable(file: Path, what: str, detail: str) -> ConfigError:
    # The content is not quoted: it is a secret, whatever else may be wrong with it.
    return ConfigError(
        f"the credential {file.name} {what}",
        detail=detail or f"in {file.parent}",
        hint="see LoadCredential= of the unit (`systemctl cat`); the file must hold only the "
        "value, as `printf %s VALUE` writes it",
    )
