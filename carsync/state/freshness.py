"""How old the data are: the newest of them, and those of the last run of the whole feed. Pure.

Ages are those of this machine's clock since the run began, so that a clock of the API that is wrong
makes nothing look fresh.
"""

from __future__ import annotations

from datetime import datetime

from carsync import formatting
from carsync.model import Mode
from carsync.state.checkpoint import CheckpointState

_NAMES: dict[Mode, str] = {"full": "last success", "incremental": "newest data"}


def data_at(state: CheckpointState | None, mode: Mode) -> datetime | None:
    """Return when the last success of a mode began to read; None where there is none.

    A run of the whole feed brings all changes, too: `incremental` is the newest of both.
    """
    if state is None:
        return None
    found = [state.last_success_at]
    if mode == "incremental" and state.incremental is not None:
        found.append(state.incremental.last_success_at)
    return max((at for at in found if at is not None), default=None)


def staleness(
    state: CheckpointState | None, now: datetime, max_age_s: float, mode: Mode = "full"
) -> str | None:
    """Return why the data are too old (`--max-age`), or None where they are young enough."""
    allowed, name = formatting.duration(max_age_s), _NAMES[mode]
    if mode == "full" and state is not None and state.incremental is not None:
        name += " of a full run"
    at = data_at(state, mode)
    if at is None:
        return f"no run has succeeded yet; one within {allowed} is required"
    age_s = (now - at).total_seconds()
    if abs(age_s) <= max_age_s:
        return None
    verb, moment = "are" if mode == "incremental" else "is", formatting.moment(at)
    if age_s < 0:
        return (
            f"the {name} {verb} dated {formatting.duration(-age_s)} in the future ({moment}): the "
            "clock was wrong then, or is now"
        )
    return f"the {name} {verb} {formatting.duration(age_s)} old, more than {allowed} ({moment})"
