"""Windows: how an incremental run asks the API for what changed since a time. Pure.

Since when is a time on the API's own clock. What it asks for is proved by the API's first answer,
whose Date header tells that clock anew: see `needed_from`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from carsync import formatting
from carsync.config.api_sections import Api, Value, Window
from carsync.errors import ConfigError
from carsync.source.pagination.lists import with_values
from carsync.source.pagination.placing import names_in

_UNIT_S = {"minutes": 60, "seconds": 1}
_HOUR = timedelta(hours=1)


class Watermark(Struct, frozen=True):
    """When the run began since which changes are asked for: by the API's clock and the server's."""

    api: datetime
    server: datetime

    def elapsed(self, server_now: datetime) -> timedelta:
        """Return how long ago that was by the server's clock; a clock set back is no time."""
        return max(server_now - self.server, timedelta())

    def reckon(self, server_now: datetime) -> datetime:
        """Return the API's present time, as far as it is known before its first answer.

        It is taken to have moved on as the server's clock did.
        """
        return self.api + self.elapsed(server_now)


def asked_from(window: Window, mark: Watermark, server_now: datetime) -> datetime:
    """Return since when to ask, on the API's clock; raise `ConfigError` where that is too long."""
    return _within(window, mark.api, mark.reckon(server_now))


def needed_from(
    window: Window, mark: Watermark, server_now: datetime, api_now: datetime
) -> datetime:
    """Return since when a run must ask whose first answer came at `api_now` on the API's clock.

    A clock may have been set in between, the API's or the server's: the longer way counts. Raises
    `ConfigError` where it is too long.
    """
    _within(window, since := min(mark.api, api_now - mark.elapsed(server_now)), api_now)
    return since


def _within(window: Window, since: datetime, api_now: datetime) -> datetime:
    """Return `since` and the overlap before it, as far as `max` reaches."""
    length_s = (api_now - since).total_seconds()
    if length_s > window.max_s:
        raise ConfigError(
            f"the last run began {formatting.duration(length_s)} ago, and the API tells changes of "
            f"at most {formatting.duration(window.max_s)} (api.window.max)",
            hint="run a full sync: `carsync sync --mode full`; or let this one become one: "
            "--or-full",
        )
    back_s = min(length_s + window.overlap_s, window.max_s)
    return api_now - timedelta(seconds=back_s)


def with_window(api: Api, since: datetime, api_now: datetime) -> Api:
    """Return the section that asks only for what changed `since`, where it is `api_now`."""
    assert api.window.param is not None
    value = parameter(api.window, since, api_now)
    filled = with_values(api, {api.window.param: value}, api.lists)
    has_place = names_in([api.params, api.body], {api.window.param})
    return filled if has_place else with_removals(filled, value)


def with_removals(api: Api, value: Value) -> Api:
    """Return the section whose tombstones, and nothing else, are asked for with this window."""
    assert api.window.param is not None
    params = {**api.removals.params, api.window.param: value}
    return replace(api, removals=replace(api.removals, params=params))


def removals_since(api: Api, mark: Watermark | None, server_now: datetime) -> Api:
    """Return the section for a run of the whole feed: its tombstones are those since the last run.

    They reach no further back than the API tells; without a limit or an earlier run that is all.
    """
    window = api.window
    if window.param is None or (mark is None and math.isinf(window.max_s)):
        return api
    elapsed_s, api_now = window.max_s, server_now
    if mark is not None:
        known_s = mark.elapsed(server_now).total_seconds()
        elapsed_s, api_now = min(known_s + window.overlap_s, window.max_s), mark.reckon(server_now)
    since = api_now - timedelta(seconds=elapsed_s)
    return with_removals(api, parameter(window, since, api_now))


def parameter(window: Window, since: datetime, api_now: datetime) -> Value:
    """Return the value that asks for what changed `since`; it may reach further back, never less.

    >>> now = datetime(2026, 11, 29, 2, tzinfo=UTC)
    >>> since = now - timedelta(minutes=59, seconds=30)
    >>> parameter(Window(param="minutes"), since, now)
    60
    >>> parameter(Window(param="since", format="iso8601"), since, now)
    '2026-11-29T01:00:30Z'
    >>> parameter(Window(param="since", format="%Y%m%d%H%M", zone="Asia/Seoul"), since, now)
    '202611291000'
    """
    if window.is_relative:
        unit_s = _UNIT_S[window.format]
        units = math.ceil((api_now - since).total_seconds() / unit_s)
        return max(1, min(units, math.floor(window.max_s / unit_s)) if window.max else units)
    if window.format == "epoch_s":
        return math.floor(since.timestamp())
    if window.format == "epoch_ms":
        return math.floor(since.timestamp() * 1000)
    local = since.astimezone(ZoneInfo(window.zone))
    if window.format == "iso8601":
        return local.isoformat(timespec="seconds").replace("+00:00", "Z")
    return _before_repeated_hours(local, window.format).strftime(window.format)


def reach_s(window: Window, since: datetime, api_now: datetime) -> float:
    """Return how many seconds before each of its answers the API begins, asked by `parameter`.

    >>> now = datetime(2026, 11, 29, 2, tzinfo=UTC)
    >>> reach_s(Window(param="minutes"), now - timedelta(minutes=59, seconds=30), now)
    3600.0
    """
    return float(parameter(window, since, api_now)) * _UNIT_S[window.format]


def _before_repeated_hours(local: datetime, format_: str) -> datetime:
    """Return a time that its text says: an hour that the change to winter time repeats has two.

    The API may read the text as the later one, so the time goes back to before both.
    """
    while (
        "%z" not in format_
        and local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
    ):
        local = (local.astimezone(UTC) - _HOUR).astimezone(local.tzinfo)
    return local
