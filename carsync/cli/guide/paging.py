"""The lines about pages in the file that `carsync init` writes."""

from __future__ import annotations

from collections.abc import Mapping

from carsync import formatting
from carsync.cli.guide.answers import Answers, Looked, quoted
from carsync.config.api_sections import Pagination
from carsync.doctor.paging_guesses import PLACE_KEYS
from carsync.source.pagination.placing import names_in

_USUAL = Pagination()
_KIND_KEYS: Mapping[str, tuple[str, ...]] = {
    "page": ("page_param", "first_page", "size_param", "page_size"),
    "offset": ("offset_param", "first", "size_param", "page_size"),
    "cursor": ("cursor_param", "next", "size_param", "page_size"),
    "next_link": ("next", "size_param", "page_size"),
    "link_header": ("size_param", "page_size"),
    "none": (),
}
"""Which keys of `api.pagination` a kind has, in the order in which they are written."""


def write_pagination(answers: Answers, looked: Looked) -> list[str]:
    """Return the lines about pages: as the answers showed them, or as somebody told."""
    found = looked.paging
    if found is None:
        return ["  pagination:", *_told_pagination(answers)]
    keys, layout = found.pagination, looked.layout
    lines = ["  pagination:", *(f"    # {formatting.printable(note)}" for note in found.notes)]
    lines.append(f"    type: {keys.type}")
    placed = {f"{name}_param" for name in names_in(answers.params)}
    for name in _KIND_KEYS[keys.type]:
        value = getattr(keys, name)
        if name in placed:
            continue
        if name == "first_page" and value == _USUAL.first_page and found.is_proved:
            continue
        if value != getattr(_USUAL, name) or name not in ("first", "next"):
            written = value if isinstance(value, int) else quoted(value)
            lines.append(f"    {name}: {written}{_remark(name, value, answers)}")
    count = layout.count if layout else 0
    seen = f"{formatting.plural(count, 'object')} found here"
    lines.append(f"    records: {quoted(keys.records)}  # {seen}")
    if keys.has_more is not None:
        lines.append(f"    has_more: {quoted(keys.has_more)}  # nothing, false or null: the end")
    pages, total = (layout.pages, layout.total) if layout else (None, None)
    if keys.type in ("page", "offset"):
        lines.append(_total("total_pages", keys.total_pages, pages))
    lines.append(_total("total_records", keys.total_records, total))
    if keys.max_pages != _USUAL.max_pages:
        lines.append(f"    max_pages: {keys.max_pages}  # about 935 pages are read today")
    if keys.end_status != _USUAL.end_status:
        statuses = ", ".join(map(str, keys.end_status))
        lines.append(f"    end_status: [{statuses}]  # behind the last page")
    return lines


def _remark(name: str, value: object, answers: Answers) -> str:
    if name == "first_page" and value == 0:
        return "  # the API counts its pages from 0"
    if name == "size_param" and value is None:
        return "  # the API chooses the size, as far as was seen"
    if name == "page_size" and answers.is_live:
        return "  # the largest that the API serves"
    return ""


def _total(key: str, place: str | None, number: int | None) -> str:
    is_seen = place is not None and number is not None
    seen = f"the value was {number:,}" if is_seen else "not seen"
    return f"    {key}: {quoted(place)}  # {seen}"


def _told_pagination(answers: Answers) -> list[str]:
    """Return the lines about pages where nobody asked the API."""
    told = answers.told
    kind = told.kind or "page"
    size_param = _USUAL.size_param if told.size_param is None else told.size_param or None
    lines = [] if kind == "page" else [f"    type: {kind}"]
    if (key := PLACE_KEYS.get(kind)) is not None:
        lines.append(f"    {key}: {quoted(told.param or getattr(_USUAL, key))}")
    lines.append(f"    size_param: {quoted(size_param)}")
    lines.append(f"    page_size: {told.size or _USUAL.page_size}")
    if kind in ("page", "offset") and (answers.preset is None or told.first is not None):
        key, usual = ("first_page", 1) if kind == "page" else ("first", 0)
        first = usual if told.first is None else told.first
        remark = "  # 0 if the API counts its pages from 0" if kind == "page" else ""
        lines.append(f"    {key}: {first}{remark}")
    if answers.records is not None:
        lines.append(f"    records: {quoted(answers.records)}")
    if answers.preset is None:
        lines += [
            "    total_pages: null     # dotted path to the number of the last page",
            "    total_records: null   # dotted path to the total number of records",
        ]
    return lines
