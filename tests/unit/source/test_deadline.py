"""Work in a thread of its own: its result, its error, or `TimeoutError` when the time is over."""

from __future__ import annotations

import threading

import pytest

from carsync.source.deadline import in_thread, in_time


def test_the_result_comes_from_a_daemon_thread_of_the_given_name() -> None:
    thread = in_time(threading.current_thread, 5, name="handshake")
    assert (thread.name, thread.daemon) == ("handshake", True)
    assert thread is not threading.current_thread()


def test_what_the_work_raises_is_raised_here_a_time_out_too() -> None:
    for error in (ValueError("no"), TimeoutError("its own")):

        def fail(error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)) as caught:
            in_time(fail, 5, name="x")
        assert caught.value is error
        assert in_thread(fail, "x").exception(5) is error


def test_work_that_does_not_end_in_time_is_left_behind() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError, match=r"lookup took longer than 0\.02 s"):
        in_time(release.wait, 0.02, name="lookup")
    release.set()


def test_the_turn_is_called_while_the_work_lasts_and_may_end_the_wait() -> None:
    release = threading.Event()
    assert in_time(release.wait, 5, name="x", turn=release.set)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_time(threading.Event().wait, 5, name="x", turn=stop)
