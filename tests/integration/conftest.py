"""What most tests against PostgreSQL begin with."""

from __future__ import annotations

import pytest

from carsync.postgres.wait import Connection
from tests.support.merge_rig import Rig


@pytest.fixture
def rig(conn: Connection) -> Rig:
    """A rig over the test's migrated database."""
    return Rig(conn)
