"""How a request says since when changes are wanted."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

MAX_MINUTES = 4320
WINDOW_FORMATS = ("minutes", "seconds", "iso8601", "epoch_s", "epoch_ms")
"""The formats that have a name; any other one is of strftime."""
_UNIT_S = {"minutes": 60.0, "seconds": 1.0, "epoch_s": 1.0, "epoch_ms": 0.001}


class WindowRefusedError(ValueError):
    """A window that the API does not serve."""

    def __init__(self, words: str, status: int = 422) -> None:
        super().__init__(words)
        self.status = status


class Window(Struct, frozen=True):
    """The parameter of a window and its format, with the time zone where it names none."""

    param: str = "minutes"
    format: str = "minutes"
    zone: str = "UTC"

    def since_s(self, text: str, now_s: float) -> float:
        """Return the time from which on changes are wanted; raise `WindowRefusedError`.

        >>> Window().since_s("60", 3600 * 10)
        32400.0
        >>> Window(format="%Y%m%d%H%M%S", zone="Asia/Seoul").since_s("19700101100000", 7200)
        3600.0
        """
        try:
            since_s = self._read(text, now_s)
        except (ValueError, OverflowError):
            raise WindowRefusedError(f"The {self.param} field has another format.") from None
        if now_s - since_s > 60 * MAX_MINUTES:
            most = f"must not be greater than {MAX_MINUTES} minutes"
            raise WindowRefusedError(f"The {self.param} field {most}.")
        return since_s

    def _read(self, text: str, now_s: float) -> float:
        if self.format in {"minutes", "seconds"}:
            if (length := int(text)) < 1:
                raise ValueError(text)
            return now_s - length * _UNIT_S[self.format]
        if self.format in _UNIT_S:
            return int(text) * _UNIT_S[self.format]
        is_named = self.format == "iso8601"
        at = datetime.fromisoformat(text) if is_named else datetime.strptime(text, self.format)
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(self.zone))).timestamp()
