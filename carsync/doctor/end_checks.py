"""Judges where the feed ends and begins, by pages beyond both ends."""

from __future__ import annotations

from carsync import formatting
from carsync.config.api_sections import Pagination
from carsync.doctor.end_facts import EndFacts
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
    if facts.before_ids and not facts.before_ids & facts.first_ids:
        before = facts.first - 1
        records = formatting.plural(len(facts.before_ids), "record")
        found.warn(
            "begin",
            f"page {before} lists {records} that page {facts.first} does not list",
            f"set api.pagination.first_page: {before}, if the feed begins there",
        )


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
