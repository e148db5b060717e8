"""The attempts of one process's threads: the gate, a token, a request, and what came of it.

Every engine asks so; where a mapped page goes is the engine's own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from threading import Event as Flag
from threading import get_ident

from carsync import failpoints
from carsync.config.sections import Config
from carsync.engine.gate_client import GateClient, SharedGate
from carsync.engine.messages import (
    UNUSED,
    Event,
    Lease,
    PageFailed,
    PageLease,
    PageNamed,
    ProbeAnswered,
    ProbeLease,
    TokenIssued,
    kind_of,
)
from carsync.engine.reader import FeedReader, PageRead, ProbeAnswer
from carsync.engine.tally import Tally
from carsync.errors import FailureKind, PageError
from carsync.model import ProbeVerdict
from carsync.source.auth.base import Readiness
from carsync.source.auth.token_store import Token, TokenStore
from carsync.source.rate_limit import Admission

POLL_S = 0.2
STEP_S = 10.0
"""Any step but a request may take this long: asking the gate, mapping a page, a turn."""
TakePage = Callable[[PageRead], None]
"""Takes a mapped page on its way to staging, and reports it."""


class Steps:
    """When each thread must be over with its present step; true while any thread is at work."""

    def __init__(self) -> None:
        self._due_s: dict[int, float] = {}  # by thread

    def __bool__(self) -> bool:
        return bool(self._due_s)

    def allow(self, seconds: float = STEP_S) -> None:
        """Note that the next step of this thread takes at most so many seconds."""
        self._due_s[get_ident()] = time.monotonic() + seconds

    def end(self) -> None:
        """Note that this thread is at work no more."""
        self._due_s.pop(get_ident(), None)

    def overdue_s(self) -> float:
        """Return by how many seconds the slowest thread is late; negative where none is."""
        now_s = time.monotonic()
        return max((now_s - due_s for due_s in list(self._due_s.values())), default=-math.inf)


class Attempts:
    """Makes the attempt of a lease, for up to `threads` threads at once.

    `send` hears each event, and what was sent and told before it; `take_page` gets each page.
    """

    def __init__(
        self,
        config: Config,
        threads: int,
        gate: SharedGate,
        tokens: TokenStore,
        send: Callable[[Event], None],
        take_page: TakePage,
    ) -> None:
        self._config = config
        self._pass_on = send
        self._take_page = take_page
        self.steps = Steps()
        self._gate = GateClient(gate, config.limits, self.send)
        self._reader = FeedReader(config, threads, tokens, self._tell_token)
        self._authenticator = self._reader.client.authenticator
        self._tally = Tally(time.monotonic)
        self.stopping = Flag()
        """Set to let nobody begin another request."""

    def send(self, event: Event) -> None:
        """Report what was sent and told since, then the event."""
        self._tell_counts()
        self._pass_on(event)

    def tell(self) -> None:
        """Report what was sent and told since, and the rate where it changed."""
        self._tell_counts()
        self._gate.tell_rate()

    def count_unused(self) -> None:
        """Note that an admission was not used."""
        self._tally.count(UNUSED)

    def _tell_counts(self) -> None:
        for told in self._tally.take():
            self._pass_on(told)

    def turn(self) -> None:
        """Enforce the deadlines of the requests that are out; called several times a second."""
        self._reader.client.enforce_deadlines()

    def close(self) -> None:
        """Close the connections to the API."""
        self._reader.client.close()

    def serve(self, lease: Lease) -> None:
        """Make the attempt of a lease; leave it undone when told to stop before.

        A request for an access token takes an admission of its own, and so does another request
        for the page that was refused with the old one. Raises what the gate or `take_page` does.
        """
        again = False
        admit = partial(self._gate.admit, self.steps.allow, self.stopping.wait)
        while self._await_token() and (admission := admit()) is not None:
            failpoints.reach("fetch.admitted")
            self.steps.allow(self._config.api.timeout.total_s + STEP_S)
            started_s = time.monotonic()
            readiness = Readiness.WAIT
            try:
                readiness = self._authenticator.ready()
                if readiness is Readiness.READY:
                    return self._ask(lease, admission, started_s)
                self._heed(admission)
                self._tally.count("token" if readiness is Readiness.USED else UNUSED)
                if readiness is Readiness.USED:
                    self._gate.succeeded(admission)
            except PageError as exc:
                if readiness is not Readiness.READY:
                    self._tally.count("token")
                self._heed(admission, exc.status)
                kind = self._gate.failed(exc, admission, is_proved=lease.is_proved)
                is_refused = readiness is Readiness.READY and exc.status == 401
                if not is_refused or not self._authenticator.refused(again=again):
                    return self._tell_failure(lease, exc, kind, time.monotonic() - started_s)
                again = True
        return None

    def _await_token(self) -> bool:
        """Wait while another thread gets the access token; False when told to stop meanwhile."""
        while (wait_s := self._authenticator.wait_s()) > 0:
            self.steps.allow()
            if self.stopping.wait(min(wait_s, POLL_S)):
                return False
        return True

    def _heed(self, admission: Admission, status: int | None = None) -> None:
        limits = self._reader.client.limits_told()
        self._tally.note(limits)
        self._gate.heed(admission, limits, status)

    def _ask(self, lease: Lease, admission: Admission, started_s: float) -> None:
        """Send the request of a lease, and report what came; raise `PageError`."""
        is_over = isinstance(lease, PageLease) and lease.is_over  # nothing is asked for
        self._tally.count(UNUSED if is_over else kind_of(lease))
        if isinstance(lease, ProbeLease):
            answer = self._reader.probe(lease)
            self._heed(admission)
            self._gate.succeeded(admission)
            self._tell_answer(lease, answer, time.monotonic() - started_s)
            return
        read = self._reader.read_page(lease, partial(self._tell_next, lease.page))
        self._heed(admission)
        self._gate.succeeded(admission)
        failpoints.reach("fetch.mapped")
        self._take_page(read)

    def _tell_next(self, page: int, token: str) -> None:
        self.send(PageNamed(page, token))

    def _tell_token(self, token: Token) -> None:
        self.send(TokenIssued(token))

    def _tell_failure(
        self, lease: Lease, exc: PageError, kind: FailureKind, latency_s: float
    ) -> None:
        if isinstance(lease, ProbeLease):
            answer = ProbeAnswer(ProbeVerdict.NOTHING, exc.problem)
            self._tell_answer(lease, answer, latency_s, exc.retry_after_s, kind)
            return
        self.send(
            PageFailed(
                lease.page,
                lease.attempt,
                kind,
                f"{exc.problem}: {exc.detail}" if exc.detail else exc.problem,
                exc.hint,
                exc.status,
                exc.retry_after_s,
                latency_s,
                exc.first_attempts,
            )
        )

    def _tell_answer(
        self,
        lease: ProbeLease,
        answer: ProbeAnswer,
        latency_s: float,
        retry_after_s: float | None = None,
        failure: FailureKind | None = None,
    ) -> None:
        failpoints.reach("probe.answered")
        told = (answer.verdict, latency_s, answer.words, retry_after_s, failure)
        found = (answer.ids, answer.info, answer.row, answer.no_row)
        page = lease.page.page if lease.page else None
        self.send(ProbeAnswered(lease.record_id, lease.attempt, *told, *found, page=page))
