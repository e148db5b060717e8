"""Configurations of the tests, those that are refused, and what no error may show."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.config.parser import parse
from carsync.errors import ConfigError
from carsync.exit_codes import ExitCode

ENVIRONMENT = {
    "API_BASE_URL": "https://feed.example.com/v1",
    "API_KEY": "k-123",
    "DATABASE_URL": "postgresql://u:p@db.example.com/cars",
}
HUSH = "hush-7f3a"
SMALL_MAPPING: dict[str, Any] = {
    "preset": None,
    "columns": {
        "id": {"path": "id", "required": True},
        "make": {"path": "make", "required": True},
        "price": {"path": "price", "type": "numeric"},
    },
    "hash": {"algorithm": "xxh3_128", "fields": ["make", "price"]},
}
REMOVALS: dict[str, Any] = {
    "path": "/archived-lots",
    "id": "car_id",
    "at": "archived_at",
    "set": {
        "final_bid": {"path": "final_bid.value", "type": "numeric"},
        "status": {"constant": "sold"},
    },
}


def refused(text: str = "", environ: dict[str, str] | None = None, *overrides: str) -> ConfigError:
    """Return the error that parsing ends with."""
    with pytest.raises(ConfigError) as caught:
        parse(text, environ or {}, overrides, origin="prod.yaml")
    assert caught.value.exit_code is ExitCode.CONFIG
    return caught.value


def assert_silent(error: ConfigError) -> None:
    assert HUSH not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
