"""gzip: whole and within its size, or refused."""

from __future__ import annotations

import gzip

import pytest

from carsync.errors import FailureKind, PageError
from carsync.source import compression
from carsync.source.compression import gunzip

BODY = b'{"data": []}' * 1000
WIRE = gzip.compress(BODY)


@pytest.fixture(params=["zlib", "isal.isal_zlib"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with each of the two libraries."""
    monkeypatch.setattr(compression, "_zlib", pytest.importorskip(request.param))


def failure(wire: bytes, max_bytes: int = 10**6) -> PageError:
    with pytest.raises(PageError) as caught:
        gunzip(wire, max_bytes)
    return caught.value


def test_a_stream_is_read_whole_and_its_members_are_joined() -> None:
    assert gunzip(WIRE, len(BODY)) == BODY
    assert gunzip(WIRE + gzip.compress(b"") + WIRE, 2 * len(BODY)) == 2 * BODY


@pytest.mark.parametrize("cut", [0, 1, 9, 10, len(WIRE) // 2, len(WIRE) - 8, len(WIRE) - 1])
def test_a_stream_cut_anywhere_is_a_failure_of_the_network(cut: int) -> None:
    assert failure(WIRE[:cut]).kind is FailureKind.NETWORK
    assert failure(WIRE + WIRE[:cut]).kind is FailureKind.NETWORK if cut else True


def test_damaged_data_and_what_is_no_gzip_are_a_bad_page() -> None:
    for wire in (BODY, WIRE + b"more", WIRE[:20] + b"\0" * 20 + WIRE[40:]):
        assert failure(wire).kind is FailureKind.BAD_PAGE
    wrong_sum = WIRE[:-8] + b"\0\0\0\0" + WIRE[-4:]
    assert failure(wrong_sum).kind is FailureKind.BAD_PAGE


def test_a_bomb_is_given_up_at_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 10**7)
    assert "larger than api.max_body_bytes (1,000,000 bytes)" in failure(bomb).problem
    assert failure(WIRE, len(BODY) - 1).kind is FailureKind.BAD_PAGE


def test_members_without_end_are_given_up() -> None:
    assert "too many pieces" in failure(gzip.compress(b"") * 10_001).problem
