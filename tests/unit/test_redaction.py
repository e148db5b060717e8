"""A secret in a text that quotes it: whole, escaped or cut, it is not to be read."""

from __future__ import annotations

import json

import pytest

from carsync.config.parser import parse
from carsync.mapping.mapper import Mapper
from carsync.redaction import Secret, redact, redact_page
from tests.support.fake_api import page_reply

KEY = 'hush-7f3a"91bc-5e1d-0c44-8a2b-1f6e-77d0-4b9c-e3a5-2d80-6c1f'


@pytest.mark.parametrize("text", [KEY, KEY[:-1], KEY[:8], f"a {KEY[:30]}… b", f"{KEY}{KEY[:12]}"])
def test_no_long_beginning_of_a_secret_stays(text: str) -> None:
    assert KEY[:8] not in redact(text, KEY)
    assert redact("hush-7f", KEY) == "hush-7f"
    assert redact(text, "") == text


def test_a_reason_that_cuts_what_it_quotes_holds_no_part_of_the_key() -> None:
    config = parse(
        "mapping: {preset: null, columns: {id: {path: id, required: true},"
        " year: {path: year, type: integer}},"
        " hash: {fields: [year]}}",
        {},
    )
    mapper = Mapper.load(config)
    body, _ = page_reply([{"id": 1, "year": f"you sent {KEY}"}]).encode()
    rejects = mapper.map_page(body.partition(b"\r\n\r\n")[2]).rejects
    assert KEY[:9] in rejects[0].reason
    _, (hidden,) = redact_page((), rejects, body, Secret(KEY))
    assert "hush-7f3" not in hidden.reason + hidden.original
    assert hidden.original_kind == "altered"


ESCAPED = "".join(f"\\u{ord(char):04x}" for char in KEY)


@pytest.mark.parametrize("quoted", [json.dumps(KEY)[1:-1], ESCAPED], ids=["plain", "escaped"])
def test_a_row_whose_record_quotes_the_key_keeps_all_else(quoted: str) -> None:
    body = f'{{"data": [{{"id": 1, "make": "it is {quoted}"}}, {{"id": 2, "make": "Kia"}}]}}'
    columns = {"id": {"path": "id", "required": True}, "make": {"path": "make"}}
    text = json.dumps({"mapping": {"preset": None, "columns": columns}})
    rows = Mapper.load(parse(text, {})).map_page(body.encode()).rows
    assert KEY in rows[0][2]
    shown, _ = redact_page(rows, (), body.encode(), Secret(KEY))
    assert shown[0][2] == "it is ***"
    assert (shown[0][:2], shown[0][3:], shown[1]) == (rows[0][:2], rows[0][3:], rows[1])
