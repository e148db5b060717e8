"""`carsync simulate`: the simulated API alone, until it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any
from zoneinfo import available_timezones

import click
from msgspec.structs import fields

from carsync.cli import console
from carsync.demo.cars import read_moment
from carsync.demo.changes.answers import CHANGE_LIES
from carsync.demo.changes.timeline import Lateness
from carsync.demo.changes.window import WINDOW_FORMATS, Window
from carsync.demo.door import DOOR_KINDS
from carsync.demo.feed import LIST_FIELDS, FeedOptions
from carsync.demo.hints import key_variables, usage
from carsync.demo.lies import CAR_LIES, PAGE_LIES, describe_lies
from carsync.demo.paging import PAGINGS
from carsync.demo.server import running
from carsync.demo.simulator import Simulator, SimulatorOptions
from carsync.demo.window_limit import RATE_HEADERS

LIVE_RATE = 1.0
LIVE_RELISTED = 0.001
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _parse_latency(ctx: click.Context, param: click.Parameter, value: str) -> tuple[float, float]:
    """Read `MIN-MAX`, or one number for both, in milliseconds."""
    low, _, high = value.partition("-")
    try:
        bounds = (float(low), float(high or low))
    except ValueError:
        bounds = (-1.0, -1.0)
    if not 0 <= bounds[0] <= bounds[1] < float("inf"):
        raise click.BadParameter(f"{value!r} is not MIN-MAX in milliseconds, e.g. 300-600")
    return bounds


def _parse_lies(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Check the names of lies; `list` tells them and ends."""
    if "list" in values:
        lies = {**describe_lies(), **CHANGE_LIES}
        width = max(map(len, lies))
        console.say(*(f"{name:{width}}  {words}" for name, words in lies.items()))
        ctx.exit()
    for name in values:
        if name not in {*PAGE_LIES, *CAR_LIES, *CHANGE_LIES}:
            raise click.BadParameter(f"there is no lie {name!r}; `--lie list` tells all")
    if len(PAGE_LIES.keys() & values) > 1 or len(CAR_LIES.keys() & values) > 1:
        raise click.BadParameter("one lie of pages and one by id go together, no more")
    return values


def _parse_clock(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read a time in ISO 8601."""
    try:
        return None if value is None else read_moment(value)
    except ValueError:
        words = f"{value!r} is no time in ISO 8601, e.g. 2026-01-31T06:00Z"
        raise click.BadParameter(words) from None


def _share(option: str, default: float, words: str, name: str = "") -> Callable[[Any], Any]:
    """Add an option for a share; the simulator's own name of `--x` is `x_share`."""
    name = name or f"{option.removeprefix('--')}_share"
    return click.option(option, name, type=click.FloatRange(0, 1), default=default, help=words)


def _life(option: str, given: str) -> Callable[[Any], Any]:
    """Add an option for how long what was given is valid; the name of `--x-y` is `x_y_s`."""
    name = f"{option.removeprefix('--').replace('-', '_')}_s"
    words = f"{given} are valid for so many seconds.  [default: for ever]"
    return click.option(option, name, type=click.FloatRange(0, min_open=True), help=words)


@click.command(context_settings={"show_default": True})
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; 0: any free one."
)
@click.option("--cars", type=click.IntRange(0), default=20_000, help="Cars in snapshot 0.")
@click.option("--seed", type=int, default=1, help="The same seed gives the same feed and faults.")
@click.option("--page-size", type=click.IntRange(1), default=100, help="Cars per page by default.")
@click.option(
    "--max-page-size",
    type=click.IntRange(1),
    default=1000,
    help="Largest page size that is served.",
)
@click.option("--snapshot", type=click.IntRange(0), default=0, help="The snapshot to start with.")
@_share("--changed", FeedOptions().changed_share, "Share of cars changed a snapshot.")
@_share("--added", FeedOptions().added_share, "Share of cars added a snapshot.")
@_share("--removed", FeedOptions().removed_share, "Share of cars removed a snapshot.")
@click.option(
    "--relisted",
    "relisted_share",
    type=click.FloatRange(0, 1),
    help="Share of cars that come back a snapshot.  [default: 0, with --live 0.001]",
)
@click.option(
    "--clock",
    "clock_s",
    metavar="TIME",
    callback=_parse_clock,
    help="The API's clock stands at this time until it is moved on.  [default: this machine's]",
)
@_share("--late", 0.0, "Share of an hour's changes shown only --late-minutes after their time.")
@click.option(
    "--late-minutes", type=click.FloatRange(0), default=Lateness().minutes, help="See --late."
)
@click.option(
    "--window-param",
    default=Window().param,
    help="Parameter by which only what changed, or left, is listed: since when, or how long.",
)
@click.option(
    "--window-format",
    metavar="FORMAT",
    default=Window().format,
    help=f"Its format: {', '.join(WINDOW_FORMATS)} or one of strftime.",
)
@click.option("--window-zone", default=Window().zone, help="Its time zone, where it names none.")
@click.option("--prefix", default="/api", help="Path before /cars.")
@click.option("--key", default="demo", help="The key that is required; empty: none is required.")
@click.option(
    "--auth",
    type=click.Choice(DOOR_KINDS),
    default=SimulatorOptions().auth,
    help="How the key is sent, as api.auth.type; oauth2 and login give a token for it.",
)
@_life("--access-token-life", "Access tokens")
@click.option("--no-meta", is_flag=True, help="Leave `meta` out of the pages.")
@click.option(
    "--rate",
    type=click.FloatRange(0),
    help="Requests/s before 429; 0: no limit.  [default: 0, with --live 1]",
)
@click.option(
    "--burst", type=click.IntRange(1), help="Requests accepted at once.  [default: 2 x rate]"
)
@click.option(
    "--rate-headers",
    type=click.Choice(RATE_HEADERS),
    help="Tell the limit of --rate in headers of this kind; it is one of fixed windows then.",
)
@click.option(
    "--rate-window",
    "rate_window_s",
    type=click.FloatRange(0, min_open=True),
    default=SimulatorOptions().rate_window_s,
    help="With --rate-headers: length of a window in seconds.",
)
@click.option(
    "--latency",
    "latency_ms",
    metavar="MIN-MAX",
    callback=_parse_latency,
    default="0-0",
    help="Delay of answers in ms, uniformly distributed.",
)
@_share("--errors", 0.0, "Share of requests answered 500.", "error_share")
@_share("--html", 0.0, "Share of requests answered 200 with HTML.")
@_share("--cuts", 0.0, "Share of answers cut off half-way.", "cut_share")
@_share("--broken-pages", 0.0, "Share of pages that always answer 500.", "broken_share")
@click.option(
    "--empty-from", type=click.IntRange(1), help='Pages from this one on are {"data": []}.'
)
@click.option(
    "--lie",
    "lies",
    metavar="NAME",
    multiple=True,
    callback=_parse_lies,
    help="Lie in this way, e.g. total-capped; `list` tells all. May be given several times: one "
    "lie of pages, one by id, and any of windows, dates, removals and tombstones.",
)
@click.option(
    "--lie-depth",
    type=click.IntRange(1),
    default=SimulatorOptions().lie_depth,
    help="The page at which lies begin that need one.",
)
@click.option(
    "--paging",
    type=click.Choice(PAGINGS),
    default=SimulatorOptions().paging,
    help="How the feed is cut into pages.",
)
@_life("--token-life", "Cursors and links")
@click.option(
    "--list-param",
    "list_params",
    type=click.Choice(tuple(LIST_FIELDS)),
    multiple=True,
    help="A parameter that every request for a page must have: the cars with its value are "
    "listed. May be given several times.",
)
@click.option(
    "--broken-list",
    "broken_lists",
    metavar="VALUE",
    multiple=True,
    help="With --list-param: this value is always answered 500.",
)
@click.option(
    "--live",
    is_flag=True,
    help="As the preset's own API is today: 1 request/s unless --rate says otherwise, no totals "
    "without simple_paginate=0, a car by its lot.",
)
@click.option("--warm", is_flag=True, help="Build all pages before the server starts.")
def simulate(
    port: int,
    warm: bool,
    no_meta: bool,
    key: str,
    rate: float | None,
    relisted_share: float | None,
    **values: Any,
) -> None:
    """Serve a simulated auction feed over HTTP until SIGINT or SIGTERM.

    Prints the variables that carsync needs for this feed as the first line of standard
    output, when the feed is ready.

    \b
    Examples:
      carsync simulate --port 8080
      carsync simulate --cars 200000 --rate 20 --latency 300-600 --errors 0.02
      carsync simulate --rate 2 --rate-window 60 --rate-headers github
      carsync simulate --paging cursor --token-life 60
      carsync simulate --list-param make --broken-list Kia
      carsync simulate --auth oauth2 --access-token-life 60
      carsync simulate --live
      carsync simulate --live --clock 2026-01-31T06:00Z --late 0.2 --lie removals-500
      carsync simulate --window-param since --window-format iso8601
      carsync simulate --lie feed-cut --lie-depth 150 --lie by-id-404
    """
    if rate is None:
        rate = LIVE_RATE if values["live"] else 0.0
    if relisted_share is None:
        relisted_share = LIVE_RELISTED if values["live"] else 0.0
    values["relisted_share"] = relisted_share
    feed = FeedOptions(**{option.name: values.pop(option.name) for option in fields(FeedOptions)})
    late = Lateness(values.pop("late_share"), values.pop("late_minutes"))
    window = Window(*(values.pop(f"window_{name}") for name in ("param", "format", "zone")))
    _check(window, values)
    options = SimulatorOptions(
        feed=feed,
        key=key or None,
        with_meta=not no_meta,
        rate=rate,
        late=late,
        window=window,
        **values,
    )
    app = Simulator(options)
    if warm:
        app.warm()
    # Blocked before the server's threads start, so that only sigwait receives them.
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        with running(app, port=port) as api:
            console.say(f"API_BASE_URL={api.base_url} {key_variables(options)}")
            console.say(*usage(api).splitlines(), err=True)
            signal.sigwait(STOP_SIGNALS)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)


def _check(window: Window, values: dict[str, Any]) -> None:
    """Refuse options that do not go together, and a window that cannot be read."""
    others = set(values["lies"]) - CHANGE_LIES.keys()
    if values["live"] and (others or values["paging"] != "page" or values["list_params"]):
        raise click.UsageError(
            "--live goes with none of --paging, --list-param and --lie, but for lies of windows, "
            "dates, removals and tombstones"
        )
    if values["live"] and window != Window():
        raise click.UsageError("--live has a window of its own: none of --window-... goes with it")
    if window.format not in WINDOW_FORMATS and "%" not in window.format:
        raise click.UsageError(
            f"--window-format {window.format} is none of {', '.join(WINDOW_FORMATS)}, and not one "
            "of strftime"
        )
    if window.zone not in available_timezones():
        raise click.UsageError(f"there is no time zone {window.zone!r}; e.g. Europe/Berlin")
