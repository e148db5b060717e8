"""What a command printed with `--json`, held against docs/reference/json.md."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from carsync.cli.reference.jsonpage import ANSWERS
from carsync.formatting import JSON_VERSION


def assert_documented(printed: dict[str, Any]) -> None:
    """Fail unless some answer of the page has exactly the fields of what was printed."""
    answer = {name: value for name, value in printed.items() if name != "json_version"}
    assert printed["json_version"] == JSON_VERSION
    known = [record for records in ANSWERS.values() for record in records]
    assert any(_fits(record, answer) for record in known), f"docs/reference/json.md: {printed}"


def _fits(record: type[Struct], answer: dict[str, Any]) -> bool:
    try:
        read = msgspec.convert(answer, record)
    except msgspec.ValidationError:
        return False
    again: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(read))
    return again == answer
