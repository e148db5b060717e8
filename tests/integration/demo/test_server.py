"""The simulator served: its port is taken, told and given back."""

from __future__ import annotations

import socket

import pytest
import requests

from carsync.demo.server import running
from carsync.demo.simulator import Simulator, SimulatorOptions
from carsync.errors import ConfigError


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"port {port} cannot be listened on"),
            running(Simulator(SimulatorOptions()), port=port),
        ):
            pass


def test_the_port_is_free_again_after_stopping() -> None:
    with running(Simulator(SimulatorOptions())) as api, requests.Session() as session:
        assert session.get(f"{api.base_url}/cars?page=1", timeout=10).status_code == 401
        port = api.port
    with running(Simulator(SimulatorOptions()), port=port) as api:
        assert api.port == port
