"""Rows packed and handed over come out as they went in, and show their keys unread."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync import packed_rows
from carsync.model import Row
from carsync.packed_rows import keys_of, pack

# Lone surrogates and integers of any size too: a feed may send both.
_text = st.text(st.characters(codec=None))
_values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), _text)
_rows = st.lists(st.tuples(st.integers(0, 99), _text, _values, st.text()), max_size=4)


@given(_rows.map(tuple))
def test_rows_come_out_as_they_went_in(rows: tuple[Row, ...]) -> None:
    given_over: Sequence[Row] = pickle.loads(pickle.dumps(pack(rows)))
    assert repr(tuple(given_over)) == repr(rows)  # -0.0 and 0, True and 1 are not the same
    assert (len(given_over), list(keys_of(given_over))) == (len(rows), list(keys_of(rows)))
    assert tuple(given_over[1:3]) == rows[1:3]


def test_the_keys_are_told_without_unpacking(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(((0, "7", "Fiat", "a6e1"), (1, "9", "Audi", "b7f2")))
    monkeypatch.setattr(packed_rows, "_decode", lambda _: pytest.fail("unpacked"))
    assert (len(packed), keys_of(packed)) == (2, [(0, "7", "a6e1"), (1, "9", "b7f2")])
    monkeypatch.undo()
    assert packed[1][2] == "Audi"
