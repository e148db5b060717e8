"""Listeners: all hear what happens, and one that fails fails nobody else."""

from __future__ import annotations

import logging

import pytest

from carsync.run.listener import Listeners, RunListener


class Ear(RunListener):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def message(self, text: str) -> None:
        """Remember the sentence."""
        self.heard.append(text)

    def pulse(self) -> None:
        """Remember the pulse."""
        self.heard.append("pulse")


class Broken(Ear):
    """Fails at the first sentence."""

    def message(self, text: str) -> None:
        """Fail."""
        super().message(text)
        raise OSError("disk full")


def test_a_listener_that_fails_hears_no_more_and_the_others_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before, broken, after = Ear(), Broken(), Ear()
    listeners = Listeners([before, broken, after])
    with caplog.at_level(logging.WARNING):
        listeners.message("one")
    listeners.pulse()
    listeners.message("two")
    assert before.heard == after.heard == ["one", "pulse", "two"]
    assert broken.heard == ["one"]
    assert "Broken failed and gets no more events: OSError('disk full')" in caplog.text
