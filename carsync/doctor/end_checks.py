"""Judges where the feed goes on, ends and begins, by a few pages beside the first one."""

from __future__ import annotations

from carsync import formatting
from carsync.config.api_sections import Pagination
from carsync.doctor.end_facts import EndFacts, NextFacts
from carsync.doctor.findings import Findings, words
from carsync.errors import FailureKind
from carsync.source.pagination.base import end_status_hint

NAME = "end"
_REFUSALS = frozenset({FailureKind.CLIENT, FailureKind.BAD_PAGE})


def judge(found: Findings, rules: Pagination, facts: EndFacts, repeat_hint: str) -> None:
    """Judge what stands behind the feed's end and before its first page.

    `repeat_hint` says where to look if every page holds the same records.
    """
    page = f"page {facts.behind:,}"
    if facts.has_totals:
        page += " (behind the last one that the feed reports)"
    if facts.fault is not None:
        _judge_fault(found, rules, facts, page)
    elif not facts.behind_ids:
        found.ok(NAME, f"{page} holds no record")
    else:
        _judge_records(found, rules, facts, page, repeat_hint)
    if facts.second_ids - facts.first_ids:
        listed = formatting.plural(len(facts.first_ids), "record")
        found.warn(
            "next page",
            f"page {facts.first} holds {listed}, though {rules.page_size:,} were requested and "
            f"page {facts.first + 1} lists more: the API caps its pages, or does not know "
            f"{rules.size_param or 'a size'}",
            f"set api.pagination.page_size: {len(facts.first_ids)}, or size_param to the name "
            "that the API knows",
        )
    if facts.before_ids and not facts.before_ids & facts.first_ids:
        before = facts.first - 1
        records = formatting.plural(len(facts.before_ids), "record")
        found.warn(
            "begin",
            f"page {before} lists {records} that page {facts.first} does not list",
            f"set api.pagination.first_page: {before}, if the feed begins there",
        )


def judge_next(
    found: Findings, rules: Pagination, facts: NextFacts, next_key: str, repeat_hint: str
) -> None:
    """Judge the page that the first one names, of a feed that is read page by page."""
    is_all = facts.total is not None and facts.records >= facts.total
    if not facts.is_named and not is_all and facts.records >= rules.page_size:
        seen = "the first page is full, and names no next one"
        found.warn(NAME, seen, f"check {next_key}, where the API names the next page")
    elif not facts.is_named and not is_all and facts.total is not None:
        total = formatting.plural(facts.total, "record")
        seen = f"the first page names no next one, but the feed reports {total}"
        found.problem(NAME, seen, f"check {next_key}, where the API names the next page")
    elif not facts.is_named:
        found.ok(NAME, "the first page names no next one: it is the whole feed")
    elif facts.fault is not None:
        seen = f"the page after the first one: {words(facts.fault)}"
        found.problem(NAME, seen, facts.fault.hint or repeat_hint or f"check {next_key}")
    elif 2 * len(facts.ids & facts.first_ids) > len(facts.first_ids):
        seen = "the page after the first one lists its records again"
        found.problem(NAME, seen, repeat_hint or f"check {next_key}")
    elif not facts.ids:
        found.ok(NAME, "the page after the first one holds no record")
    else:
        records = formatting.plural(len(facts.ids), "record")
        found.ok(NAME, f"the page after the first one lists {records} more")


def _judge_fault(found: Findings, rules: Pagination, facts: EndFacts, page: str) -> None:
    fault = facts.fault
    assert fault is not None
    if fault.kind not in _REFUSALS:
        fix = fault.hint or "try again later; a run takes this for a sign that cars may be missing"
        found.warn(NAME, f"{page}: {words(fault)}", fix)
    elif facts.has_totals:
        found.ok(NAME, f"{page} is not there: {fault.problem}")
    else:
        found.warn(NAME, f"{page}: {words(fault)}", end_status_hint(rules, fault.status))


def _judge_records(
    found: Findings, rules: Pagination, facts: EndFacts, page: str, repeat_hint: str
) -> None:
    behind, beside, first = facts.behind_ids, facts.beside_ids, facts.first_ids
    records = formatting.plural(len(behind), "record")
    is_long = facts.behind > facts.first + 1 if facts.has_totals else len(first) >= rules.page_size
    if behind == first == beside and is_long:
        found.warn(NAME, "every page lists the records of the first one", repeat_hint)
    elif behind <= beside or behind == first:
        found.ok(NAME, f"{page} lists known records again")
    elif facts.has_totals:
        found.warn(
            NAME,
            f"{page} lists {records} more: the totals are not the feed's",
            "set api.pagination.total_pages and total_records to where the feed's own totals are, "
            "or to null: pages are read until they are empty then",
        )
    else:
        found.warn(
            NAME,
            f"{page} lists {records}, and a run reads {formatting.plural(rules.max_pages, 'page')}",
            "raise api.pagination.max_pages",
        )
