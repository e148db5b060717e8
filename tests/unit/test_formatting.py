"""Numbers as text: read alike everywhere, on any terminal."""

from __future__ import annotations

import pytest

from carsync import formatting
from carsync.errors import FailureKind


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1.0, "0 s"),
        (0.0, "0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60.0, "1 min"),
        (3599.6, "1 h"),
        (3660.0, "1 h 1 min"),
        (86400.0, "1 d"),
        (90_000.0, "1 d 1 h"),
        (34_560_000.0, "400 d"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert formatting.duration(seconds) == words


def test_nothing_rounds_up_to_complete() -> None:
    assert formatting.share(1_999_999, 2_000_000) == "99.9 %"
    assert formatting.bar(1_999_999, 2_000_000, 10) == "█" * 9 + "░"
    assert formatting.bar(5, 4, 4) == "████"
    assert formatting.bar(0, 0, 3) == "░░░"


def test_every_class_of_failure_has_a_name_of_its_own() -> None:
    names = {formatting.error_name(kind) for kind in FailureKind}
    assert len(names) == len(FailureKind)
    assert "rate_limited" not in names
