"""By-id answers: only the record itself, in any condition, proves that a car is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.mapping.record_match import describe_answer, find_record
from tests.support.mappers import load_mapper

MAPPER = load_mapper()
CAR = {"id": 7, "manufacturer": {"name": "Kia"}, "model": {"name": "K5"}, "year": 2019}


def holds(body: Any, record_id: str = "7") -> bool:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return find_record(MAPPER, text, record_id) is not None


@pytest.mark.parametrize(
    "body",
    [
        CAR,
        {"data": CAR},
        {"data": CAR, "meta": {"took_ms": 3}},
        {**CAR, "id": "7"},
        {**CAR, "data": None},
        {**CAR, "data": {"views": 3}},
        {"result": CAR},
        {"status": "ok", "result": {"took_ms": 3, "vehicle": CAR}},
    ],
)
def test_the_record_is_found_bare_and_wrapped(body: Any) -> None:
    assert holds(body)


@pytest.mark.parametrize(
    "body",
    [
        {"id": 7},
        {"data": {"id": 7}},
        {**CAR, "manufacturer": None},
        json.dumps({**CAR, "year": float("nan")}).encode(),
        json.dumps({**CAR, "vin": "\ud800"}).encode(),
        json.dumps({**CAR, "vin": "a\0b"}).encode(),
    ],
)
def test_a_record_that_the_mapping_rejects_is_there_all_the_same(body: Any) -> None:
    assert holds(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>7</html>",
        b"null",
        b"7",
        b'"7"',
        b"{",
        [],
        [CAR],
        {"data": [CAR]},
        {"data": None},
        {"data": {}},
        {"error": "not found", "id": None},
        {"error": {"id": 7}},
        {"result": {**CAR, "id": 8}},
        {"result": {"vehicles": [CAR]}},
        {"a": {"b": {"c": CAR}}},
        {**CAR, "id": 8},
        {"data": {**CAR, "id": 8}},
        {**CAR, "id": [7]},
        {**CAR, "id": True},
        b'{"id": 8}, {"id": 7}',
        b'{"id": 8}], [{"id": 7}',
    ],
)
def test_anything_else_with_status_200_proves_nothing(body: Any) -> None:
    assert not holds(body)


@given(st.binary(max_size=200))
def test_no_answer_breaks_the_probe(body: bytes) -> None:
    assert not holds(body, "no such id")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, ""),
        ({}, ""),
        ([], ""),
        ({"data": None}, ""),
        ({"data": []}, ""),
        ([CAR], "the answer is a list of 1"),
        ({"data": [CAR, CAR]}, "the answer is a list of 2"),
        ({"error": {"code": 4}}, "the answer is an error object"),
        ({"id": 8}, "the answer is not the record asked for"),
        (b"<html>", "the answer is no JSON"),
        (b"\xff", "the answer is no JSON"),
    ],
)
def test_an_answer_without_the_record_is_told_apart(body: Any, words: str) -> None:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert find_record(MAPPER, text, "7") is None
    assert describe_answer(text) == words
