"""An answer as JSON text, and the error of a command as an answer. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from carsync.formatting import JSON_VERSION


class Failure(Struct, frozen=True):
    """Why a command failed."""

    problem: str
    detail: str
    hint: str
    exit_code: int


class ErrorAnswer(Struct, frozen=True):
    """What every command with `--json` prints if it fails before it has an answer."""

    error: Failure


def encode(answer: Struct) -> bytes:
    """Return an answer as one JSON object on one line, with the version of the format.

    Times are ISO 8601 in UTC, numbers are not rounded, and a number that is none is null.
    """
    return msgspec.json.encode({"json_version": JSON_VERSION, **msgspec.to_builtins(answer)})


def encode_indented(answer: Struct) -> bytes:
    """Do as `encode`, on several lines."""
    return msgspec.json.format(encode(answer))
