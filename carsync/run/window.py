"""Whether a run reads the whole feed, or what changed since the last one, proved by an answer."""

from __future__ import annotations

import logging
import math
import time
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from carsync import formatting
from carsync.config.sections import Config
from carsync.destination import staging
from carsync.engine.messages import PageFetched
from carsync.errors import CarsyncError, ConfigError, DatabaseError
from carsync.model import MergeCounts, judged_records
from carsync.run.context import RunContext
from carsync.run.fingerprints import differences
from carsync.source import window
from carsync.source.pagination import doubts
from carsync.source.pagination.feed_plan import ListPlan
from carsync.source.window import Watermark
from carsync.state import runs

log = logging.getLogger(__name__)

LOOK_AHEAD = 2
"""So many empty pages in a row end a feed without totals that is asked for changes only."""
IGNORED_SHARE = 0.95
"""Of the whole feed: where so much is listed as changed, the API may have listed all of it."""
MIN_CARS = 10
"""Fewer say nothing of that."""
_TICK_S = 1.0
"""A Date header knows no less."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class WindowTooLongError(ConfigError):
    """The API's clock shows that more is needed than the API tells of."""


class WindowTooShortError(CarsyncError):
    """The API's clock shows that changes before the window that was asked for are needed, too."""

    def __init__(self, since: datetime, api_now: datetime) -> None:
        super().__init__("the window is too short")
        self.since = since
        self.api_now = api_now


def check_mode(config: Config, mode: str) -> None:
    """Raise `ConfigError` where no incremental run can be asked for."""
    if mode == "incremental" and config.api.window.param is None:
        raise ConfigError(
            "api.window is not set: an incremental run does not know how to ask for changes",
            hint="e.g. api.window: {param: minutes}, as the API's documents call "
            "it; or run a full sync: `carsync sync --mode full`",
        )


class RunWindow:
    """Since when one run asks for changes; of a run of the whole feed, when it began.

    `choose` comes before the run begins, `begin` after it; `heed` hears the first answer.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._api = context.config.api
        self._mark: Watermark | None = None
        self._since: datetime | None = None
        self._heard: tuple[float | None, float] | None = None  # when: the API's clock, ours
        self._spare_s = math.inf  # the window may move on by so much until a change is missed
        self._moved_s = 0.0
        self.is_old = False
        """Whether a page came from a cache, so that the next run must ask for changes again."""

    def choose(self) -> None:
        """Ask for the window since the watermark.

        Raises `ConfigError` where there is none, or where it lies too far back; with
        `options.or_full` the run is one of the whole feed then.
        """
        context = self._context
        if context.mode == "full":
            self._choose_removals()
            return
        try:
            self._mark = self._find_watermark()
            now = runs.read_clock(context.connection)
            since = window.asked_from(self._api.window, self._mark, now)
            api_now = self._mark.reckon(now)
            self._ask(self._as_far_back(since, api_now), api_now)
        except ConfigError as exc:
            if not context.options.or_full:
                raise
            self.choose_all(exc)

    def choose_all(self, why: ConfigError) -> None:
        """Ask for the whole feed instead; what was asked for so far is no run's any more."""
        context = self._context
        context.note(f"{why.problem}: this run reads the whole feed")
        context.mode = "full"
        context.window_from = context.api_clock = None
        context.resumed_pages = context.resumed_rows = 0
        self._mark = self._since = None
        self._heard = None
        context.ask(self._api)
        self._choose_removals()

    def _choose_removals(self) -> None:
        """Ask a run of the whole feed for the tombstones since the watermark, where it has any."""
        context, api = self._context, self._api
        if api.removals.path is None:
            return
        run = runs.find_watermark(context.connection, context.target, context.source)
        mark = None
        if run is not None and run.api_clock is not None and run.api_clock_at is not None:
            mark = Watermark(run.api_clock, run.api_clock_at)
        now = runs.read_clock(context.connection)
        context.ask(window.removals_since(api, mark, now))

    def begin(self) -> None:
        """Record since when the run asks."""
        if self._since is not None:
            self._context.ask_since(self._since)

    def heed(self, event: PageFetched) -> None:
        """Learn the API's time from the first answer of a session; watch how it goes on.

        Raises `WindowTooShortError` where it shows that more was to be asked for, and
        `WindowTooLongError` where that is more than the API tells of.
        """
        date_s = None if event.date_s is None else event.date_s - event.latency_s
        if self._heard is not None:
            self._follow(date_s, *self._heard)
            return
        self._heard = (date_s, time.monotonic())
        context = self._context
        runs.note_api_clock(context.connection, context.run, date_s, event.latency_s)
        if date_s is not None and context.api_clock is None:
            context.api_clock = datetime.fromtimestamp(date_s, UTC)
        if self._mark is None or self._since is None:
            return
        now = runs.read_clock(context.connection)
        if date_s is None:
            self._spare(self._mark.api, self._since, self._mark.reckon(now))
            return
        api_now = datetime.fromtimestamp(date_s, UTC)
        try:
            needed = window.needed_from(self._api.window, self._mark, now, api_now)
        except ConfigError as exc:
            raise WindowTooLongError(exc.problem, hint=exc.hint) from None
        asked = api_now - self._length if self._api.window.is_relative else self._since
        if asked > needed:
            raise WindowTooShortError(needed, api_now)
        self._spare(needed, asked, api_now)

    def widen(self, found: WindowTooShortError) -> None:
        """Ask for the longer window instead; what was read is read again."""
        context = self._context
        words = formatting.duration((found.api_now - found.since).total_seconds())
        context.say(f"the API's clock shows that the last run began {words} ago: asking again")
        overlap = timedelta(seconds=self._api.window.overlap_s)
        since = max(found.since - overlap, self._earliest(found.api_now))
        staging.end_writers(context.connection, context.run.run_id)
        staging.clear(context.connection, context.run.run_id, staging.ALL_PAGES)
        context.pages_dropped(context.plan.staged_count, staging.ALL_PAGES)
        self._ask(since, found.api_now)
        self._spare(found.since, since, found.api_now)
        self.begin()

    def find_moved(self) -> str:
        """Say, in words, that a window of minutes moved on too far while it was read; else "".

        What an API lists as of the last minutes, it no longer lists later: changes at the begin of
        the window may be on no page that was read.
        """
        if self._moved_s <= self._spare_s:
            return ""
        words = formatting.duration(self._moved_s)
        return (
            f"reading took {words}, and what changed at the begin of the window was no longer "
            "listed at the end (api.window.overlap must be longer than that)"
        )

    def _spare(self, needed: datetime, asked: datetime, api_now: datetime) -> None:
        """Keep how far the window, `asked` for at `api_now`, may move on."""
        window_ = self._api.window
        if window_.is_relative:
            reach_s = window.reach_s(window_, asked, api_now)
            self._spare_s = reach_s - (api_now - needed).total_seconds()

    def _follow(self, date_s: float | None, api_s: float | None, here_s: float) -> None:
        """Note how far a page lies behind the first one, or before it."""
        told_s = 0.0 if date_s is None or api_s is None else date_s - api_s
        self._moved_s = max(self._moved_s, told_s, time.monotonic() - here_s)
        keys = self._api.window
        if keys.param is not None and -told_s > max(keys.overlap_s, _TICK_S) and not self.is_old:
            self.is_old = True
            self._context.note(
                f"a page is {formatting.duration(-told_s)} older than the first one, by its Date: "
                "it may come from a cache, and the next incremental run asks for the same changes "
                "again (a longer api.window.overlap allows for that)"
            )

    def tell_ignored(self, counts: MergeCounts) -> None:
        """Say where the API gave the whole feed, as if it had not been asked for changes only.

        The merge stands where the database does not tell; its connection may just have broken.
        """
        context = self._context
        if context.mode == "full" or context.options.scope == "sample":
            return
        try:
            before = runs.last_full(context.connection, context.target, context.source)
        except DatabaseError as exc:
            log.warning("after the merge: %s", exc.problem)
            return
        whole = (before.counts or {}).get("seen", 0) if before and before.scope == "whole" else 0
        is_whole = counts.seen >= max(MIN_CARS, IGNORED_SHARE * whole) and whole
        if is_whole and 2 * counts.unchanged > counts.seen:
            context.note(
                f"the API lists {formatting.plural(counts.seen, 'car')} as changed, as many as the "
                "whole feed has, and most of them are as they were: it may not know the parameter "
                f"{self._api.window.param} (api.window.param)"
            )

    def _ask(self, since: datetime, api_now: datetime) -> None:
        """Ask for what changed `since`; a feed without totals ends after two empty pages then."""
        self._since, self._length = since, api_now - since
        api = window.with_window(self._api, since, api_now)
        pagination = api.pagination
        if pagination.stop_after_empty_pages > LOOK_AHEAD and self._context.paginator.parallel:
            pagination = replace(pagination, stop_after_empty_pages=LOOK_AHEAD)
        self._context.ask(replace(api, pagination=pagination))

    def _as_far_back(self, since: datetime, api_now: datetime) -> datetime:
        """Return since when to ask so that the run that is resumed, if any, loses nothing."""
        context = self._context
        if context.options.scope != "whole" or context.options.fresh:
            return since
        key = (context.connection, context.target, context.source)
        found = runs.find_resumable(*key, context.config.checkpoint.max_age_h, context.mode)
        if found is None or found.window_from is None:
            return since
        return min(since, max(found.window_from, self._earliest(api_now)))

    def _earliest(self, api_now: datetime) -> datetime:
        """Return since when the API tells changes at the most."""
        longest_s = min(self._api.window.max_s, (api_now - _EPOCH).total_seconds())
        return api_now - timedelta(seconds=longest_s)

    def _find_watermark(self) -> Watermark:
        context = self._context
        hint = "run a full sync: `carsync sync --mode full`; or let this one become one: --or-full"
        key = (context.connection, context.target, context.source)
        run, last = runs.find_watermark(*key), runs.last_merged(*key)
        if run is None or run.api_clock is None or run.api_clock_at is None:
            raise ConfigError(
                "no run has read the whole feed yet, or it was reverted since: an incremental run "
                "does not know since when to ask",
                hint=hint,
            )
        for known in (run, last or run):
            # It is this table's own record: whatever address the database has now.
            if changed := differences(known.fingerprints, context.fingerprints, ("mapping",)):
                raise ConfigError(f"since the last run {'; '.join(changed)}", hint=hint)
        return Watermark(run.api_clock, run.api_clock_at)


def find_unread(context: RunContext) -> str:
    """Say, in words, why a run may not have read all that it asked for; empty where it has."""
    is_next_proved = any(of.plan.names_next for of in context.plan.begun)
    for of in context.plan.begun:
        if words := _find_unread(of, is_next_proved=is_next_proved):
            return words
    return ""


def find_unread_removals(context: RunContext) -> str:
    """Say, in words, why a run may not have read all tombstones; empty where it has."""
    plan = context.plan
    is_next_proved = any(of.plan.names_next for of in plan.begun)
    if plan.removals is None or plan.removals_problem:
        return plan.removals_problem
    if words := _find_unread(plan.removals, is_next_proved=is_next_proved):
        return words
    ledger = staging.tombstone_tables(context.run.run_id)["ledger"]
    rejects, records = staging.count_records(context.connection, context.run.run_id, ledger)
    # A few that are bad would be as bad if they were asked for again.
    most = context.config.sync.max_reject_share * judged_records(records, "incremental")
    most = min(most, records / 2)
    if rejects > most:
        part = formatting.part(rejects, records, "tombstone")
        return f"{part} cannot be read: see `carsync rejects list`, and correct api.removals"
    future = context.removal_plan.future.count
    return context.removal_plan.fault if future + rejects > most else ""


def _find_unread(of: ListPlan, *, is_next_proved: bool) -> str:
    words = doubts.open_end(of.plan, is_next_proved=is_next_proved)
    if of.plan.is_truncated:
        words = "more pages follow than api.pagination.max_pages lets carsync read"
    if holes := doubts.holes(of.plan):
        words = f"{formatting.plural(holes, 'page', 'is', 'are')} empty, and later ones are not"
    return of.named(words)
