"""Judges the first page of the API: key, layout, mapping, pace, clock."""

from __future__ import annotations

import math

from msgspec import Struct

from carsync import formatting
from carsync.config.api_sections import Pagination
from carsync.config.sections import Config
from carsync.doctor.findings import Findings, words
from carsync.doctor.way_checks import WAY
from carsync.errors import FailureKind, PageError
from carsync.mapping.discovery import PageLayout
from carsync.state.api_use import EACH

PAGE = ("records", "totals", "page size", "mapping", "fields", "pace")
CLAIMS = ("end", "by id")
ANSWER = (*PAGE, "clock", *CLAIMS)
CHECKS = (*WAY, "answer", *ANSWER)
"""The names of all checks of the feed, in the order in which they are made."""

SKEW_S = 30.0
ENOUGH_RECORDS = 10
"""A field that so many records lack is missing, not rare."""
_SHOWN_REASONS = 3
_SHOWN_FIELDS = 12


class FirstPage(Struct, frozen=True):
    """The first page as a run would read it.

    `layout` is what a look without the configured paths finds, `paging` how the answer seems to
    be paged. `fault` says why the answer is no page by the configuration. `has_more` is whether
    it says that a page follows, `next_token` where. `mapped` is the number of records that
    become rows;
    `reasons` are the reasons of the other records, each with its number of records.
    `absent` are the columns whose path no record has, `unread` the fields that no column reads.
    `naive` are the columns with times without an offset, each with the zone that these are given.
    `objection` says why totals and records do not agree. `ids` are the records' own;
    `by_id` is the first one that can be asked for, with its values in `api.record.path`.
    """

    latency_s: float
    wire_bytes: int
    skew_s: float | None
    layout: PageLayout | None
    fault: PageError | None = None
    records: int = 0
    pages: int | None = None
    total: int | None = None
    mapped: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    absent: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    naive: tuple[tuple[str, str], ...] = ()
    objection: str | None = None
    ids: tuple[str, ...] = ()
    paging: Pagination | None = None
    has_more: bool | None = None
    next_token: str | None = None
    by_id: tuple[str, tuple[str, ...]] | None = None


def judge_failure(found: Findings, exc: PageError) -> None:
    """Judge a request that got no page."""
    fix = exc.hint
    if exc.status == 404:
        fix = "check api.base_url and api.path: GET {base_url}{path} is required"
    elif exc.kind is FailureKind.RATE_LIMITED:
        fix = "wait; if this happens often, lower limits.requests_per_second"
    elif exc.kind is FailureKind.SERVER:
        fix = "the API has failed: try again later, or ask its owner"
    elif exc.kind is FailureKind.TIMEOUT:
        fix = "raise api.timeout, or lower api.pagination.page_size; check for a firewall"
    name = "key" if exc.kind is FailureKind.AUTH else "answer"
    found.problem(name, words(exc), fix)


def judge_page(found: Findings, config: Config, page: FirstPage) -> None:
    """Judge the first page: its answer time, records, totals, size and mapping."""
    took, size = formatting.latency(page.latency_s), formatting.size(page.wire_bytes)
    found.ok("answer", f"HTTP 200 in {took}, {size}")
    if page.fault is not None:
        seen = page.fault.detail or page.fault.problem
        found.problem("records", seen, _layout_hint(page) or page.fault.hint)
        return
    where = config.api.pagination.records or "the top"
    if page.records == 0:
        fix = (
            _layout_hint(page)
            or "check that this key may see cars, and that api.params is not too narrow"
        )
        found.warn("records", f"the first page has no record at {where}", fix)
        return
    found.ok("records", f"{formatting.plural(page.records, 'record')} at {where}")
    _judge_totals(found, config, page)
    _judge_size(found, config, page)
    _judge_mapping(found, config, page)
    _judge_fields(found, page)
    _judge_times(found, page)
    _judge_pace(found, config, page)


def judge_skew(found: Findings, skew_s: float | None) -> None:
    """Judge this machine's clock against the Date header, which knows whole seconds."""
    if skew_s is None:
        found.ok("clock", "the API sends no Date header to compare with")
    elif abs(skew_s) > SKEW_S:
        behind = "behind" if skew_s > 0 else "ahead of"
        seen = f"this machine is {formatting.duration(abs(skew_s))} {behind} the API's clock"
        found.warn("clock", seen, "set up NTP here (timedatectl set-ntp true)")
    else:
        found.ok("clock", "the same as the API's, within seconds")


def _layout_hint(page: FirstPage) -> str:
    """Name the keys that the answer's layout suggests; empty where no records were found."""
    layout = page.layout
    if layout is None:
        return ""
    keys = {"records": layout.records or '""'}
    if page.paging is None or page.paging.type == "page":
        keys["total_pages"] = layout.total_pages or "null"
    else:
        keys = {**describe_paging(page.paging), **keys}
    keys["total_records"] = layout.total_records or "null"
    objects = formatting.plural(layout.count, "object")
    named = ", ".join(f"{key}: {path}" for key, path in keys.items())
    where = layout.records or "the top"
    return f"the answer has {objects} at {where}: set api.pagination: {{{named}}}"


def describe_paging(paging: Pagination) -> dict[str, str]:
    """Return the keys that make this kind of paging, as they stand in a configuration.

    >>> describe_paging(Pagination(type="next_link", next="next"))
    {'type': 'next_link', 'next': 'next'}
    """
    values = {
        "page": {"page_param": paging.page_param},
        "offset": {"offset_param": paging.offset_param},
        "cursor": {"cursor_param": paging.cursor_param, "next": paging.next or "null"},
        "next_link": {"next": paging.next or "null"},
    }
    return {"type": paging.type, **values.get(paging.type, {})}


def _judge_totals(found: Findings, config: Config, page: FirstPage) -> None:
    rules = config.api.pagination
    proof = "without a total of records each deactivation needs its second proof"
    if page.pages is not None or page.total is not None:
        pages = "pages unknown" if page.pages is None else formatting.plural(page.pages, "page")
        total = proof if page.total is None else formatting.plural(page.total, "record")
        found.ok("totals", f"{pages}, {total}")
        return
    hint = _layout_hint(page) if page.layout and page.layout.total_records else ""
    is_numbered = rules.type in ("page", "offset")
    places = (rules.total_pages if is_numbered else None, rules.total_records)
    if not any(places) and not hint:
        until = f"{rules.stop_after_empty_pages} are empty" if is_numbered else "one names no next"
        found.ok(
            "totals",
            f"none configured: pages are read until {until}, at most {rules.max_pages:,} "
            f"({formatting.plural(rules.max_pages * page.records, 'record')}); {proof}",
        )
        return
    where = " or ".join(path for path in places if path)
    found.warn(
        "totals",
        f"no number at {where}; {proof}" if where else f"none configured; {proof}",
        hint or "set api.pagination.total_pages and total_records to where they are, or to null",
    )


def _judge_size(found: Findings, config: Config, page: FirstPage) -> None:
    rules = config.api.pagination
    asked = rules.page_size
    seen = f"{formatting.plural(page.records, 'record')}, but {asked:,} requested"
    if page.objection is not None:
        fix = "ask the API's owner; a run would not accept this page"
        objection, _, cure = page.objection.partition("; if the API")
        if cure:
            fix = f"if the API{cure}; or set size_param to the name that the API knows"
        found.problem("page size", objection, fix)
    elif rules.type == "none" and (total := page.total or 0) > page.records:
        seen = f"the one answer holds {formatting.part(page.records, total, 'record')}"
        found.problem("page size", seen, "set api.pagination.type to how the API has its pages")
    elif rules.type == "none":
        found.ok("page size", f"{page.records:,} in the one answer")
    elif page.records > asked:
        fix = f"set page_size: {page.records}, or size_param to the name that the API knows"
        found.warn("page size", seen, fix)
    elif page.records < asked and (
        page.has_more
        or page.next_token
        or (page.pages or 1) > 1
        or (page.total or 0) > page.records
    ):
        found.warn(
            "page size",
            f"{seen}: the API caps its pages, or does not know {rules.size_param or 'a size'}",
            f"set api.pagination.page_size: {page.records} (PAGE_SIZE), or size_param to the name "
            "that the API knows",
        )
    else:
        found.ok("page size", f"{page.records:,} of {asked:,} requested")


def _judge_mapping(found: Findings, config: Config, page: FirstPage) -> None:
    rejected = page.records - page.mapped
    seen = f"{page.mapped:,} of {formatting.plural(page.records, 'record')} become rows"
    if not rejected:
        found.ok("mapping", seen)
        return
    reasons = "; ".join(
        f"{formatting.printable(reason)} ({number}×)"
        for reason, number in page.reasons[:_SHOWN_REASONS]
    )
    fix = "look at `carsync preview`, then correct mapping.columns"
    share = config.sync.max_reject_share
    if rejected > share * page.records:
        found.problem(
            "mapping", f"{seen}, and more than {100 * share:g} % are rejected: {reasons}", fix
        )
    else:
        found.warn("mapping", f"{seen}: {reasons}", fix)


def _judge_fields(found: Findings, page: FirstPage) -> None:
    """Judge whether the records have the fields that are mapped, and name those that are not."""
    unread = formatting.printable(", ".join(page.unread[:_SHOWN_FIELDS]))
    more = " …" if len(page.unread) > _SHOWN_FIELDS else ""
    others = f"no column reads {unread}{more}" if unread else "every field has a column"
    if page.absent and page.records >= ENOUGH_RECORDS:
        columns = ", ".join(page.absent)
        fix = "correct their paths in mapping.columns, or set the columns to null there"
        found.warn("fields", f"no record has the field of {columns}; {others}", fix)
    else:
        found.ok("fields", others)


def _judge_times(found: Findings, page: FirstPage) -> None:
    """Say in which zone times without an offset are read."""
    if page.naive:
        columns = ", ".join(f"{name} in {zone}" for name, zone in page.naive)
        found.ok("times", f"without an offset, read as times of a zone: {columns}")


def _judge_pace(found: Findings, config: Config, page: FirstPage) -> None:
    """Judge how long a run will take, and whether the acceptance targets are within reach."""
    limits, targets = config.limits, config.acceptance
    rate = limits.requests_per_second or math.inf
    pace = min(rate, limits.concurrency / max(page.latency_s, 0.001))
    wanted = min(targets.min_pages_per_second or 0.0, rate / 2)
    if pace < wanted:
        each = formatting.latency(page.latency_s)
        found.warn(
            "pace",
            f"{formatting.plural(limits.concurrency, 'request')} at once, {each} each: about "
            f"{pace:.1f} pages/s, and "
            f"acceptance asks for {wanted:g}",
            "raise limits.concurrency, or lower acceptance.min_pages_per_second",
        )
        return
    if page.pages is None:
        return
    took_s = page.pages / pace
    took = formatting.duration(max(took_s, 1))
    pages = formatting.plural(page.pages, "page", "takes", "take")
    seen = f"{pages} {took} at {formatting.plural(round(pace), 'page')}/s"
    is_slow = targets.max_minutes is not None and took_s > 60 * targets.max_minutes
    if is_slow:
        seen += f", and acceptance allows {targets.max_minutes:g} min"
    fix = "raise limits.requests_per_second if the API allows it, or acceptance.max_minutes"
    if limits.budget.requests is not None and page.pages > limits.budget.requests:
        is_slow, fix = True, "raise limits.budget.requests or api.pagination.page_size"
        seen += f"; limits.budget allows {limits.budget.requests:,} {EACH[limits.budget.per]}"
    found.warn_if(is_slow, "pace", seen, fix)
