"""What most tests against PostgreSQL begin with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from carsync.postgres.connection import connect
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.support.merge_rig import Rig


@pytest.fixture
def plain_conn(dsn: str) -> Iterator[Connection]:
    """A connection of a test that plays the engine, and judges what the parent made of it."""
    with closing(connect(Secret(dsn), application_name="judge", lock_timeout_s=5)) as connection:
        yield connection


@pytest.fixture
def rig(conn: Connection) -> Rig:
    """A rig over the test's migrated database."""
    return Rig(conn)
