"""How the demo takes the end of a sync."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from carsync.demo.command import Ended
from carsync.demo.scenario import Scenario, ScenarioEndedError
from carsync.exit_codes import ExitCode


def test_a_machine_that_is_too_slow_for_acceptance_is_told_and_the_demo_goes_on() -> None:
    scenario = Scenario.__new__(Scenario)
    scenario._console = console = Mock()
    scenario._show(Ended(ExitCode.ACCEPTANCE, ""), ExitCode.OK)
    assert "slower" in console.say.call_args.args[0]
    for code, wanted in ((ExitCode.ACCEPTANCE, ExitCode.SIGINT), (ExitCode.PARTIAL, ExitCode.OK)):
        with pytest.raises(ScenarioEndedError):
            scenario._show(Ended(code, ""), wanted)
