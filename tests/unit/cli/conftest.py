"""No variable of the tester's own decides anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from carsync.config.environment import VARIABLES


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the tester's own decides anything."""
    for name in (*VARIABLES, "SUPABASE_URL", "SUPABASE_DB_URL", "SUPABASE_DB_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SUPABASE_SERVICE_ROLE_KEY", raising=False)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
