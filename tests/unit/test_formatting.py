"""Numbers as text: read alike everywhere, on any terminal."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync import formatting
from carsync.errors import FailureKind
from tests.support.folders import ROOT

COUNTED = re.compile(
    r" (?!lists|lacks)(\w+ )?(car|page|row|record|change|check|reject|run|request|attempt"
    r"|deactivation|column|connection|session|reason|writer|time|restart|object)s\b(?!/)"
)
SHARES = st.integers(0, 10**6).map(lambda millionths: millionths / 10**6)


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


@given(measured=SHARES, limit=SHARES)
def test_a_figure_never_looks_equal_to_a_limit_that_it_misses(
    measured: float, limit: float
) -> None:
    shown, least = (float(text.removesuffix(" %")) for text in formatting.shares(measured, limit))
    assert (shown < least, shown > least) == (measured < limit, measured > limit)


def test_a_count_stands_with_its_noun_through_the_one_helper_only() -> None:
    """ "1 cars" can be written nowhere: no text puts a noun of its own behind a number."""
    found = []
    for path in (ROOT / "carsync").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            for value, after in zip(node.values, node.values[1:], strict=False):
                text = after.value if isinstance(after, ast.Constant) else ""
                is_number = isinstance(value, ast.FormattedValue) and not _is_words(value.value)
                if is_number and COUNTED.match(str(text)):
                    found.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    assert not found, "\n".join(found)


def _is_words(node: ast.expr) -> bool:
    """Say whether a helper, and not the text around it, writes the value."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).startswith("formatting.")


def test_every_class_of_failure_has_a_name_of_its_own() -> None:
    names = {formatting.error_name(kind) for kind in FailureKind}
    assert len(names) == len(FailureKind)
    assert "rate_limited" not in names
