"""The one token of a run: one renewal a life, and no stampede after a refusal."""

from __future__ import annotations

import pytest

from carsync.redaction import Secret, clean
from carsync.source.auth.token_store import Token, TokenStore
from tests.support.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def held(clock: FakeClock, life_s: float | None = 100.0) -> TokenStore:
    """Return a store with one token in it."""
    return TokenStore(clock, Token(Secret("first-token"), life_s))


def test_one_caller_gets_the_turn_and_the_others_wait(clock: FakeClock) -> None:
    store = TokenStore(clock)
    turn, other = store.take(), store.take()
    assert (turn.renews, turn.token) == (True, None)
    assert (other.renews, other.token) == (False, None)
    assert other.again_s is not None
    assert store.begin(turn.number, 60)
    clock.advance(59)
    assert not store.take().renews
    store.put(Token(Secret("first-token"), 100))
    taken = store.take().token
    assert taken is not None
    assert (taken.text.reveal(), taken.number) == ("first-token", 1)


def test_a_token_is_renewed_before_it_expires_while_others_use_it(clock: FakeClock) -> None:
    store = held(clock)
    clock.advance(79)
    assert store.take().again_s == pytest.approx(1)
    clock.advance(2)
    turn, other = store.take(), store.take()
    assert turn.renews
    assert other.token is not None
    assert not other.renews
    clock.advance(13)
    assert store.take().token is not None
    clock.advance(1)
    assert store.take().token is None, "it would expire on its way"


def test_a_long_life_is_renewed_a_minute_before_its_end(clock: FakeClock) -> None:
    assert held(clock, 86_400).take().again_s == 86_400 - 60


def test_without_a_life_a_token_is_used_until_it_is_refused(clock: FakeClock) -> None:
    store = held(clock, None)
    clock.advance(1e6)
    turn = store.take()
    assert (turn.renews, turn.again_s) == (False, None)
    assert store.refuse(1) == 1
    assert [store.take().renews for _ in range(3)] == [True, False, False]


def test_a_late_refusal_of_an_old_token_renews_nothing(clock: FakeClock) -> None:
    store = held(clock)
    store.put(Token(Secret("second-token"), 100))
    assert store.refuse(1) == 2
    assert not store.take().renews


def test_a_turn_that_never_begins_or_ends_goes_to_another(clock: FakeClock) -> None:
    store = TokenStore(clock)
    assert store.take().renews
    clock.advance(10)
    turn = store.take()
    assert turn.renews
    assert store.begin(turn.number, 60)
    clock.advance(60)
    assert store.take().renews


def test_of_two_with_a_turn_one_begins(clock: FakeClock) -> None:
    store = TokenStore(clock)
    first = store.take()
    clock.advance(10)
    second = store.take()
    assert second.renews
    assert [store.begin(turn.number, 60) for turn in (second, first)] == [True, False]
    store.put(Token(Secret("first-token"), 100))
    assert not store.begin(first.number, 60)


def test_after_a_failure_the_next_turn_comes_a_moment_later(clock: FakeClock) -> None:
    store = TokenStore(clock)
    assert store.begin(store.take().number, 60)
    store.give_up()
    turn = store.take()
    assert not turn.renews
    assert not store.begin(turn.number, 60), "not by a thread that has leave to send, either"
    clock.advance(1)
    assert store.take().renews


def test_another_store_begins_with_what_is_left(clock: FakeClock) -> None:
    store = held(clock)
    store.put(Token(Secret("second-token"), 100, Secret("refresh-2")))
    clock.advance(30)
    kept = store.held()
    assert kept is not None
    assert (kept.life_s, kept.number) == (65, 2)
    clock.advance(80)
    turn = TokenStore(clock, store.held()).take()
    assert turn.renews
    assert turn.refresh is not None
    assert turn.refresh.reveal() == "refresh-2"
    assert TokenStore(clock).held() is None


@pytest.mark.parametrize("comes_each_time", [True, False])
def test_the_refresh_token_in_use_stays_hidden(clock: FakeClock, comes_each_time: bool) -> None:
    store, text = TokenStore(clock), f"refresh-{comes_each_time}-91bc-5e1d"
    shown = set()
    for n in range(20):
        refresh = Secret(text) if comes_each_time or n == 0 else None
        store.put(Token(Secret(f"{n:02}-token-of-minute"), 60, refresh))
        shown.add(clean(f"sent {text}"))
    assert shown == {"sent ***"}
