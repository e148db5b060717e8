"""A worker's side of the scheduler's gate: the same face, over the cluster."""

from __future__ import annotations

import itertools
import pickle
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

from distributed import Worker
from distributed.utils import sync
from msgspec.structs import replace

from carsync.engine.dask.gate_keeper import ASK_GATE, OVER, GateCall, Job
from carsync.engine.dask.together import Item, Together
from carsync.source.adaptive_rate import Refusal
from carsync.source.rate_headers import ToldLimit
from carsync.source.rate_limit import ARRIVAL_JITTER_S, Admission

ANSWER_S = 10.0
"""A scheduler that has not answered by then is out of reach."""
JITTER_S = 0.5
"""Between machines, the time from grant to arrival may vary by this much, up to what a quarter of
the burst covers."""
MOST_LATE = 20
"""After so many admissions in a row that came too late, an attempt has failed."""


def ask_scheduler(worker: Worker, call: str, /, **arguments: Any) -> Any:
    """Call a handler of the scheduler from a thread; raise `OSError` where it is out of reach."""

    async def ask() -> Any:
        return await getattr(worker.scheduler, call)(**arguments)

    return sync(worker.loop, ask, callback_timeout=ANSWER_S)


def find_job(worker: Worker, session: str) -> Job:
    """Return what the scheduler knows of a run; raise `RunOverError` where it is over."""
    job = pickle.loads(ask_scheduler(worker, "carsync_job", session=session))
    if job is None:
        raise RunOverError
    assert isinstance(job, Job)
    return job


class RunOverError(Exception):
    """Nobody asks for this run any more: its parent is gone, stops, or another run took over."""


class _Question(Item):
    """A thread's call of the gate; it was sent at `sent_s` of the monotonic clock."""

    def __init__(self, call: GateCall) -> None:
        super().__init__()
        self.call = call
        self.answer: Any = None
        self.sent_s = 0.0


class GateLine:
    """Carries questions to the gate on the worker's own stream, where they travel with others.

    A worker that the scheduler has given up has no stream any more.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._numbers = itertools.count()
        self._open: dict[int, SimpleQueue[bytes]] = {}
        self._is_closed = False
        worker.stream_handlers[ASK_GATE] = self._hear

    def ask(self, session: str, calls: bytes) -> bytes:
        """Return the answers; raise `OSError` where none comes."""
        number, answers = next(self._numbers), SimpleQueue[bytes]()
        self._open[number] = answers
        message = {"op": ASK_GATE, "session": session, "number": number, "calls": calls}
        try:
            if self._is_closed:
                raise ConnectionError("the worker has lost the scheduler")
            self._worker.loop.add_callback(self._worker.batched_send, message)
            if answer := answers.get(timeout=ANSWER_S):
                return answer
        except Empty:
            pass
        finally:
            self._open.pop(number, None)
        raise TimeoutError("the scheduler did not answer")

    def close(self) -> None:
        """Let nobody wait for an answer any more: the worker ends, or has lost the scheduler."""
        self._is_closed = True
        for waiting in list(self._open.values()):
            waiting.put(b"")

    def _hear(self, number: int, answers: bytes) -> None:
        if (waiting := self._open.get(number)) is not None:
            waiting.put(answers)


class RemoteGate:
    """Has the methods of `Gate` that workers call; each raises `OSError` or `RunOverError`.

    What threads ask at the same time travels in one message.

    An admission that took longer than `late_s` to come is not used: nobody knows when it was
    granted, and the API would see its request beside later ones. `count_unused` hears of it.
    Without a rate limit none is late. A gate that is too far away, or too busy, is none:
    `TimeoutError`.
    """

    def __init__(
        self,
        line: GateLine,
        session: str,
        count_unused: Callable[[], None],
        late_s: float = ARRIVAL_JITTER_S,
    ) -> None:
        self._line = line
        self._session = session
        self._count_unused = count_unused
        self._late_s = late_s
        self._late_in_a_row = 0
        self._questions = Together(self._ask_scheduler)

    def admit(self) -> Admission:
        """Ask as `Gate.admit`."""
        question = self._ask("admit")
        admission: Admission = question.answer
        if not admission.granted:
            return admission
        took_s = time.monotonic() - question.sent_s
        if not admission.rate or took_s <= self._late_s:
            self._late_in_a_row = 0
            return admission
        self._count_unused()
        if admission.ticket:
            self.told(admission.ticket, (), False)
        self._late_in_a_row += 1
        if self._late_in_a_row >= MOST_LATE:
            self._late_in_a_row = 0
            raise TimeoutError(f"the scheduler's gate answers only after {took_s:.1f} s")
        return replace(admission, granted=False, wait_s=0.0)

    def report(self, ok: bool, let_through: int | None = None) -> int:
        """Tell as `Gate.report`."""
        return int(self._call("report", ok, let_through))

    def refused(self, number: int, is_clear: bool) -> Refusal:
        """Tell as `Gate.refused`."""
        refusal: Refusal = self._call("refused", number, is_clear)
        return refusal

    def silence(self, seconds: float) -> None:
        """Tell as `Gate.silence`."""
        self._call("silence", seconds)

    def told(
        self, ticket: int, limits: Iterable[ToldLimit], let_through: bool
    ) -> tuple[float, str] | None:
        """Tell as `Gate.told`."""
        told: tuple[float, str] | None = self._call("told", ticket, tuple(limits), let_through)
        return told

    def _call(self, name: str, *args: Any) -> Any:
        return self._ask(name, *args).answer

    def _ask(self, name: str, *args: Any) -> _Question:
        question = _Question((name, args, {}))
        self._questions.add(question)
        if question.answer == OVER:
            raise RunOverError
        return question

    def _ask_scheduler(self, questions: list[_Question]) -> None:
        sent_s = time.monotonic()
        calls = pickle.dumps([question.call for question in questions])
        answers, _ = pickle.loads(self._line.ask(self._session, calls))
        for question, answer in zip(questions, answers, strict=True):
            question.answer, question.sent_s = answer, sent_s
