"""The retry rules: which failure waits how long, and when a page is given up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.sections import Retry
from carsync.errors import FailureKind
from carsync.source.retry import next_delay_s
from carsync.source.retry_after import MAX_RETRY_AFTER_S

POLICY = Retry(max_attempts=6, base_s=1.0, cap_s=60.0)
NOT_RETRIED = {FailureKind.CLIENT, FailureKind.AUTH}
RETRIED = sorted(set(FailureKind) - NOT_RETRIED)


def longest(kind: FailureKind, attempt: int, policy: Retry = POLICY) -> float | None:
    return next_delay_s(kind, attempt, None, policy, lambda: 1.0)


@pytest.mark.parametrize(
    ("kind", "delays"),
    [
        (FailureKind.SERVER, [1, 2, 4, 8, 16, None]),
        (FailureKind.NETWORK, [0.5, 1, 2, 4, 8, None]),
        (FailureKind.TIMEOUT, [0.5, 1, 2, 4, 8, None]),
        (FailureKind.RATE_LIMITED, [2, 4, 8, 16, 32, 60, *[60] * 11, None]),
        (FailureKind.BAD_PAGE, [0.5, 0.75, 1.125, None]),
        (FailureKind.CLIENT, [None]),
        (FailureKind.AUTH, [None]),
    ],
)
def test_each_kind_of_failure_has_its_own_back_off_and_its_own_end(
    kind: FailureKind, delays: list[float | None]
) -> None:
    assert [longest(kind, attempt) for attempt in range(1, len(delays) + 1)] == delays


def test_a_bad_page_never_waits_as_long_as_a_failing_server() -> None:
    policy = Retry(base_s=1000.0, cap_s=60.0)
    assert longest(FailureKind.SERVER, 1, policy) == 60
    assert longest(FailureKind.BAD_PAGE, 1, policy) == 15


@given(
    kind=st.sampled_from(RETRIED),
    attempt=st.integers(1, 5000),
    chance=st.floats(0, 1, exclude_max=True),
    policy=st.builds(
        Retry,
        max_attempts=st.integers(1, 10_000),
        base_s=st.floats(0.01, 100),
        cap_s=st.floats(0.01, 1000),
    ),
)
def test_jitter_is_full_and_never_passes_the_cap(
    kind: FailureKind, attempt: int, chance: float, policy: Retry
) -> None:
    most = longest(kind, attempt, policy)
    delay = next_delay_s(kind, attempt, None, policy, lambda: chance)
    if most is None:
        assert delay is None
    else:
        assert most <= policy.cap_s
        assert delay == pytest.approx(chance * most)


@pytest.mark.parametrize("kind", RETRIED)
def test_retry_after_is_obeyed_as_it_is(kind: FailureKind) -> None:
    assert next_delay_s(kind, 1, 90.0, POLICY, lambda: 0.0) == 90
    assert next_delay_s(kind, 1, 1e9, POLICY, lambda: 0.0) == MAX_RETRY_AFTER_S
    assert next_delay_s(kind, 1, 0.0, POLICY, lambda: 0.9) == 0


@pytest.mark.parametrize("kind", sorted(NOT_RETRIED))
def test_retry_after_does_not_revive_what_is_not_retried(kind: FailureKind) -> None:
    assert next_delay_s(kind, 1, 5.0, POLICY, lambda: 0.5) is None


def test_rate_limited_attempts_do_not_count_as_failures_of_the_page() -> None:
    assert next_delay_s(FailureKind.SERVER, 12, None, POLICY, lambda: 0.5) is None
    assert next_delay_s(FailureKind.SERVER, 12, None, POLICY, lambda: 0.5, rate_limited=7)
    assert next_delay_s(FailureKind.SERVER, 13, None, POLICY, lambda: 0.5, rate_limited=7) is None


def test_no_mixture_of_failures_goes_on_for_ever() -> None:
    assert next_delay_s(FailureKind.SERVER, 18, 1.0, POLICY, lambda: 0.5, rate_limited=17) is None


def test_a_single_attempt_is_never_repeated_but_for_a_429() -> None:
    policy = Retry(max_attempts=1)
    assert [kind for kind in FailureKind if longest(kind, 1, policy) is not None] == [
        FailureKind.RATE_LIMITED
    ]
