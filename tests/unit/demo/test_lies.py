"""Each lie of the simulated API lies in the way that its name says."""

from __future__ import annotations

from typing import Any

import pytest

from carsync.demo.asked import CarAsked, PageAsked, Record, Said
from carsync.demo.lies import CAR_LIES, PAGE_LIES, describe_lies


class Ten:
    """Ten cars, 1 to 10."""

    def __len__(self) -> int:
        return 10

    def records(self, start: int, stop: int) -> list[Record]:
        return [{"id": i, "lots": [{"price": 7, "id": 3}]} for i in range(1, 11)][start:stop]

    def record(self, record_id: str) -> Record | None:
        return {"id": int(record_id)} if record_id in map(str, range(1, 11)) else None


def _page(lie: str, page: int, **asked: Any) -> Said:
    return PAGE_LIES[lie](PageAsked(Ten(), page, 4, **asked))


def _ids(said: Said) -> list[Any]:
    return [record["id"] for record in said.body["data"]]


@pytest.mark.parametrize(
    ("lie", "page", "meta"),
    [
        ("total-capped", 1, {"total": 8, "last_page": 2}),
        ("total-of-page", 3, {"total": 2}),
        ("total-too-high", 1, {"total": 11, "last_page": 3}),
        ("total-zero", 1, {"total": 0, "last_page": 0}),
        ("last-page-from-0", 1, {"last_page": 2}),
        ("feed-cut", 1, {"total": 8, "last_page": 2}),
        ("page-size-clamped", 1, {"total": 10}),
        ("page-size-clamped-unsaid", 1, {"total": 10, "last_page": 3}),
    ],
)
def test_totals(lie: str, page: int, meta: dict[str, int]) -> None:
    told = _page(lie, page, depth=2).body["meta"]
    assert {name: told[name] for name in told if name in {"total", "last_page"}} == meta


@pytest.mark.parametrize(
    ("lie", "page", "ids"),
    [
        ("pages-from-0", 0, [1, 2, 3, 4]),
        ("depth-capped", 3, []),
        ("page-empty", 2, []),
        ("page-halved", 2, [5, 6]),
        ("page-size-clamped", 2, [3, 4]),
        ("same-page", 3, [1, 2, 3, 4]),
        ("last-page-repeated", 9, [9, 10]),
        ("all-at-once", 5, [*range(1, 11)]),
        ("car-twice", 3, [9, 10, 1]),
        ("car-hidden", 3, [9, 1]),
        ("ids-prefixed", 3, ["car-9", "car-10"]),
    ],
)
def test_pages(lie: str, page: int, ids: list[Any]) -> None:
    assert _ids(_page(lie, page, depth=2)) == ids


@pytest.mark.parametrize("lie", [name for name in PAGE_LIES if name.startswith("end-")])
def test_ends(lie: str) -> None:
    assert _ids(_page(lie, 3)) == [9, 10]
    behind = _page(lie, 4)
    assert behind.status != 200 or not (behind.body or {}).get("data")


def test_refusals() -> None:
    assert _page("quota-gone", 4).retry_after_s == 86_500
    assert [_page("slow-down-403", 1, number=n).status for n in (3, 4)] == [200, 403]


def test_values() -> None:
    assert _page("values-renamed", 3).body["data"][0] == {"id": 9, "Lots": [{"id": 3, "Price": 7}]}
    wrapped = _page("values-wrapped", 3).body["data"][0]
    assert wrapped == {"id": 9, "lots": [{"id": 3, "price": {"value": 7}}]}


def test_answers_by_id() -> None:
    told = {name: lie(CarAsked(Ten(), "77")) for name, lie in CAR_LIES.items()}
    assert {name: (said.status, said.body) for name, said in told.items()} == {
        "by-id-404": (404, {"message": "no such path"}),
        "by-id-200": (200, {"data": {"id": 77, "lots": [{"price": 7, "id": 3}]}}),
        "by-id-archived": (
            200,
            {"data": {"id": 77, "lots": [{"price": 7, "id": 3}], "archived": True}},
        ),
        "by-id-null": (200, {"data": None}),
        "by-id-error": (200, {"error": "unknown car"}),
        "by-id-204": (204, None),
        "by-id-other": (200, {"data": {"id": 1, "lots": [{"price": 7, "id": 3}]}}),
    }


def test_each_lie_is_described_by_one_sentence() -> None:
    lies = describe_lies()
    assert lies.keys() == PAGE_LIES.keys() | CAR_LIES.keys()
    assert [name for name, words in lies.items() if not words.endswith(".") or "\n" in words] == []
