"""A fetcher's side of the gate: asks for admissions, and tells it what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from carsync.config.sections import Limits
from carsync.engine.messages import (
    UNUSED,
    BreakerOpened,
    Event,
    LimitReached,
    RateChanged,
    RequestsMade,
)
from carsync.errors import FailureKind, PageError
from carsync.source.adaptive_rate import Refusal
from carsync.source.rate_headers import ToldLimit
from carsync.source.rate_limit import ARRIVAL_JITTER_S, Admission
from carsync.source.retry_after import MAX_RETRY_AFTER_S

OPEN_S = 0.1
"""Without a rate limit and a budget only the breaker is asked: its "closed" holds for this long."""
LATE_S = ARRIVAL_JITTER_S
"""Under a rate limit, a request that is this late is not sent: another is asked leave for."""
_OPEN = Admission(0.0, True, 0)
_LIMITERS = frozenset({403, 420, 429, 503})
"""The statuses by which a limiter may refuse."""
_BREAKER_KINDS = frozenset({FailureKind.SERVER, FailureKind.NETWORK, FailureKind.TIMEOUT})


class SharedGate(Protocol):
    """The gate of all workers, as one of them reaches it; the methods are those of `Gate`."""

    def admit(self) -> Admission:
        """Say whether, and after how many seconds, one request may be sent."""

    def report(self, ok: bool, let_through: int | None = None) -> int:
        """Note the end of a request."""

    def refused(self, number: int, is_clear: bool) -> Refusal:
        """Note that the API asked a request to slow down."""

    def silence(self, seconds: float) -> None:
        """Grant nothing before `seconds` from now."""

    def told(
        self, ticket: int, limits: Iterable[ToldLimit], let_through: bool
    ) -> tuple[float, str] | None:
        """Note the end of a request, and what its answer told."""


class GateClient:
    """Shared by the threads of one fetcher; `send` tells the parent what the gate said."""

    def __init__(self, gate: SharedGate, limits: Limits, send: Callable[[Event], None]) -> None:
        self._gate = gate
        self._send = send
        self._adaptive = limits.adaptive
        self._breaker = limits.circuit_breaker
        self._has_budget = limits.budget.requests is not None
        self._rate = self._told_rate = limits.requests_per_second
        self._reason, self._is_told = "", False
        self._open_until_s = 0.0

    def admit(self, step: Callable[[], None], wait: Callable[[float], bool]) -> Admission | None:
        """Wait for a token while the breaker is closed; None when told to stop meanwhile.

        `step` notes that the next second of waiting begins; `wait` says whether to stop.
        """
        if time.monotonic() < self._open_until_s:
            return _OPEN
        while True:
            step()
            admission = self._gate.admit()
            send_at_s = time.monotonic() + admission.wait_s
            while (left_s := send_at_s - time.monotonic()) > 0:
                step()
                if wait(min(left_s, 1.0)):
                    return None
            if admission.granted and admission.rate and time.monotonic() - send_at_s > LATE_S:
                self._pass_up(admission)
            elif admission.granted:
                self._note_rate(admission)
                if admission.rate == 0 and admission.failures == 0 and not self._has_budget:
                    self._open_until_s = time.monotonic() + OPEN_S
                return admission

    def _pass_up(self, admission: Admission) -> None:
        """Let an admission go that this process, stopped or starved, did not use in time.

        The API would see its request beside later ones.
        """
        if admission.ticket:
            self._gate.told(admission.ticket, (), False)
        self._send(RequestsMade({UNUSED: 1}))

    def heed(
        self, admission: Admission, limits: Sequence[ToldLimit], status: int | None = None
    ) -> None:
        """Tell the gate what an answer told of the API's limits; `status` is a failure's."""
        if not self._adaptive or not (limits or admission.ticket):
            return
        let_through = status not in _LIMITERS
        reached = self._gate.told(admission.ticket, limits, let_through)
        self._open_until_s = 0.0
        if reached is not None:
            self._send(LimitReached(*reached))

    def succeeded(self, admission: Admission) -> None:
        """Report a success; one that changes nothing saves the round trip."""
        if admission.failures:
            self._report(True, admission.number)

    def failed(self, exc: PageError, admission: Admission, *, is_proved: bool) -> FailureKind:
        """Tell the gate of a failed request, and return the kind of failure that it was.

        A 403 or a 503 may be a limiter's, the page's own, or say that nothing works: the gate
        knows what became of the other requests.
        """
        if exc.retry_after_s is not None:
            self._silence(exc.retry_after_s)
        kind, is_failure = exc.kind, exc.kind in _BREAKER_KINDS
        is_unclear = exc.status == 503 or (exc.status == 403 and is_proved)
        is_clear = kind is FailureKind.RATE_LIMITED
        if self._adaptive and (is_clear or is_unclear):
            self._open_until_s = 0.0
            refusal = self._gate.refused(admission.number, is_clear)
            self._rate = refusal.rate
            self._reason, self._is_told = f"HTTP {exc.status}", False
            if refusal.is_slower:
                self.tell_rate()
            is_failure = not (is_clear or refusal.is_slower)
            is_limiters = is_clear or refusal.is_slower or refusal.again
            kind = FailureKind.RATE_LIMITED if is_limiters else FailureKind.SERVER
        if is_failure:
            self._report(False)
        elif admission.failures:
            is_answer = kind not in {FailureKind.RATE_LIMITED, FailureKind.AUTH}
            self._report(True, admission.number if is_answer else None)
        return kind

    def _report(self, ok: bool, let_through: int | None = None) -> None:
        self._open_until_s = 0.0
        openings = self._gate.report(ok, let_through)
        if openings:
            self._send(BreakerOpened(openings, self._breaker.open_s))

    def _note_rate(self, admission: Admission) -> None:
        """Keep the rate for `tell_rate`; the parent hears of a told limit at once."""
        self._rate = admission.rate
        if admission.told_by:
            is_news = not self._is_told
            self._reason, self._is_told = admission.told_by, True
            if is_news:
                self.tell_rate()

    def tell_rate(self) -> None:
        """Tell the parent what the gate said last of the rate: when it falls, and every second."""
        if (rate := self._rate) != self._told_rate:
            self._told_rate = rate
            self._send(RateChanged(rate, self._reason, self._is_told))

    def _silence(self, seconds: float) -> None:
        """Let no thread of any process send for so long; another's at most `OPEN_S` more."""
        self._open_until_s = 0.0
        self._gate.silence(min(seconds, MAX_RETRY_AFTER_S))
        self._open_until_s = 0.0  # a thread admitted just before may have set it meanwhile
