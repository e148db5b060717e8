"""Judges what the API tells of changes: whether it knows the window, and its tombstones."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from carsync import formatting
from carsync.config.api_sections import Window
from carsync.doctor.change_facts import SHORT, RemovalFacts, WindowFacts
from carsync.doctor.feed_checks import ENOUGH_RECORDS, FirstPage
from carsync.doctor.findings import Findings, words
from carsync.run.window import IGNORED_SHARE

WINDOW, REMOVALS, KNOWN = "window", "removals", "removed cars"
_FUTURE = timedelta(minutes=10)
_SHORT = formatting.duration(SHORT.total_seconds())


def judge_window(found: Findings, rules: Window, page: FirstPage, facts: WindowFacts) -> None:
    """Judge the answers for a short window, one of the greatest length, and a longer one."""
    asked = f"{rules.param} ({rules.format})"
    if facts.refused is not None:
        seen = f"a window of {_SHORT} in {asked}: {words(facts.refused)}"
        found.problem(WINDOW, seen, "correct api.window.param and format")
    elif _is_ignored(page, facts):
        seen = f"a window of {_SHORT} in {asked} lists as much as the whole feed"
        fix = "correct api.window.param: the API seems not to know it; an incremental run is exact "
        found.warn(WINDOW, seen, f"{fix}all the same, and reads the whole feed")
    elif facts.longest is not None:
        seen = f"a window of {rules.max} (api.window.max) is refused: {words(facts.longest)}"
        found.problem(WINDOW, seen, "set api.window.max to what the API allows")
    else:
        count = len(facts.ids) if facts.total is None else facts.total
        seen = f"{asked}: {formatting.plural(count, 'car')} changed within {_SHORT}"
        if rules.max is not None:
            served = "served too" if facts.beyond is None else "refused"
            seen += f"; longer windows than {rules.max} (max) are {served}"
        if page.skew_s is None:
            seen += "; without a Date header the database's clock counts"
        found.ok(WINDOW, seen)


def _is_ignored(page: FirstPage, facts: WindowFacts) -> bool:
    """Say whether the window lists what the feed lists without it."""
    if page.total is not None and facts.total is not None:
        return facts.total >= max(ENOUGH_RECORDS, IGNORED_SHARE * page.total)
    return len(facts.ids) >= ENOUGH_RECORDS and facts.ids == frozenset(page.ids)


def judge_removals(found: Findings, path: str, facts: RemovalFacts) -> None:
    """Judge the first page of tombstones: that it is one, and that its fields are read."""
    count = formatting.plural(facts.records, "tombstone")
    future = [each for each in facts.times if each[1] > facts.now + _FUTURE]
    if facts.fault is not None:
        fix = facts.fault.hint or "correct api.removals.path, or set it to null"
        found.problem(REMOVALS, f"{path}: {words(facts.fault)}", fix)
    elif not facts.records:
        found.ok(REMOVALS, f"{path} lists no tombstone now, so their fields are not examined")
    elif facts.reasons:
        bad = formatting.part(facts.records - len(facts.times), facts.records, "tombstone")
        seen = f"{bad} of the first page cannot be read, e.g. {facts.reasons[0][0]}"
        found.warn(REMOVALS, seen, "correct api.removals.id and api.removals.at")
    elif future:
        record_id, at = future[0]
        seen = f"the car {record_id} went at {formatting.moment(at)}, which is in the future"
        found.warn(REMOVALS, seen, "correct api.removals.at, e.g. its zone")
    elif facts.empty:
        seen = f"{count} on the first page, none with a value for {', '.join(facts.empty)}"
        found.warn(REMOVALS, seen, "correct the paths of these keys below api.removals")
    else:
        found.ok(REMOVALS, f"{count} on the first page of {path}, all of them readable")


def judge_known(found: Findings, asked: Collection[str], known: int) -> None:
    """Judge how many of the cars that went since the last full run, if any, the table has."""
    if not asked:
        return
    seen = f"the table has {formatting.part(known, len(asked), 'car')} with a tombstone since the "
    fix = "correct api.removals.id: it must be the id by which the feed lists the car"
    is_strange = not known and len(asked) >= ENOUGH_RECORDS
    found.warn_if(is_strange, KNOWN, f"{seen}last full run", fix)
