"""The gate's client: whoever stood still with an admission in hand does not use it."""

from __future__ import annotations

import time
from unittest.mock import Mock

import pytest

from carsync.config.sections import Limits
from carsync.engine import gate_client
from carsync.engine.gate_client import GateClient
from carsync.engine.messages import UNUSED, RequestsMade
from carsync.source.rate_limit import Admission


@pytest.mark.parametrize(
    ("rate", "late_s", "is_used"),
    [(5.0, 0.0, True), (5.0, 2 * gate_client.LATE_S, False), (0.0, 2 * gate_client.LATE_S, True)],
)
def test_an_admission_is_used_in_time_or_not_at_all(
    rate: float, late_s: float, is_used: bool
) -> None:
    first = Admission(0.01, True, 0, 1, rate, ticket=7)
    gate = Mock(admit=Mock(side_effect=[first, Admission(0.0, True, 0, 2, rate, ticket=8)]))
    heard = Mock()

    def wait(seconds: float) -> bool:
        time.sleep(seconds + late_s)  # as a process that is stopped meanwhile
        return False

    admitted = GateClient(gate, Limits(), heard).admit(lambda: None, wait)
    assert admitted is not None
    assert admitted.number == (1 if is_used else 2)
    assert gate.told.called is not is_used  # the gate waits for no end of its request
    if not is_used:
        gate.told.assert_called_once_with(7, (), False)
        heard.assert_called_once_with(RequestsMade({UNUSED: 1}))
