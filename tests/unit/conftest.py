"""What every unit test begins with."""

from __future__ import annotations

import pytest

from carsync import redaction


@pytest.fixture(autouse=True)
def _no_secret_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the secrets that other tests read in this process, such as a password `postgres`."""
    monkeypatch.setattr(redaction, "_known", {})
