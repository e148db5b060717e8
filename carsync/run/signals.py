"""Signals of the parent: handlers only set a flag, the loop does the work."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from carsync.exit_codes import ExitCode


class StopSignal:
    """Counts SIGINT and SIGTERM: the first asks for a drain, the second for an end at once."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.times = 0

    def install(self) -> None:
        """Take over SIGINT and SIGTERM; must be called from the main thread."""
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals over for the block only; a prompt outside is ended by them."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.install()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.times += 1

    @property
    def requested(self) -> bool:
        """True from the first signal on."""
        return self.times >= 1

    @property
    def forced(self) -> bool:
        """True from the second signal on."""
        return self.times >= 2

    @property
    def exit_code(self) -> ExitCode:
        """128 + the number of the first signal (bash(1), EXIT STATUS)."""
        return ExitCode.SIGINT if self.number == signal.SIGINT else ExitCode.SIGTERM
