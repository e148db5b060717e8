"""Moments that outlive a process: the wall clock, which may be set, and the machine's uptime.

Durations within a process are measured on the monotonic clock. Between processes only
files tell the time; there the wall clock alone would take a clock that was set for time
that passed.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4)


class Moment(msgspec.Struct, frozen=True):
    """An instant by two clocks: the wall's (aware UTC) and seconds since the boot `boot_id`.

    The uptime counts sleep (CLOCK_BOOTTIME, clock_gettime(2)). Where the system does not
    tell its boots apart, `boot_id` is empty and the uptime says nothing.
    """

    wall: datetime
    boot_id: str = ""
    uptime_s: float = 0.0

    @classmethod
    def now(cls) -> Moment:
        """Return the present."""
        try:
            boot_id = _BOOT_ID.read_text(encoding="ascii").strip()
            uptime_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        except (OSError, ValueError, AttributeError):  # not Linux, or a /proc that hides it
            return cls(datetime.now(UTC))
        return cls(datetime.now(UTC), boot_id, uptime_s)

    def by_the_clock_of(self, earlier: Moment) -> datetime:
        """Return this moment as the wall clock of `earlier` shows it, had nobody set it since.

        After a reboot, or where boots are not known, this is the wall clock as it is.

        >>> noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
        >>> set_back = Moment(noon - timedelta(hours=1), "b", 160.0)
        >>> set_back.by_the_clock_of(Moment(noon, "b", 100.0)) - noon
        datetime.timedelta(seconds=60)
        """
        passed_s = self._uptime_since(earlier)
        return self.wall if passed_s is None else earlier.wall + timedelta(seconds=passed_s)

    def certainly_since(self, earlier: Moment) -> float:
        """Return how many seconds at least have passed since `earlier`, never less than 0.

        Both clocks must agree: a wall clock that was set forward makes nothing older. After
        a reboot no more than the uptime is certain.

        >>> noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
        >>> set_forward = Moment(noon + timedelta(hours=1), "b", 160.0)
        >>> set_forward.certainly_since(Moment(noon, "b", 100.0))
        60.0
        """
        passed_s = (self.wall - earlier.wall).total_seconds()
        if self.boot_id and earlier.boot_id:
            same = self._uptime_since(earlier)
            passed_s = min(passed_s, self.uptime_s if same is None else same)
        return max(0.0, passed_s)

    def _uptime_since(self, earlier: Moment) -> float | None:
        """Return the uptime's difference; None where it is another boot's, or runs backwards."""
        if not self.boot_id or self.boot_id != earlier.boot_id:
            return None
        passed_s = self.uptime_s - earlier.uptime_s
        return passed_s if passed_s >= 0 else None  # another time_namespaces(7)
