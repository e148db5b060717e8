"""A fetcher process: its threads take leases, read pages, and put them on the queue."""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from carsync import failpoints
from carsync.engine.local.child import become_child
from carsync.engine.local.gate_client import GateClient
from carsync.engine.local.messages import Drain, FetcherArgs, Heartbeat, Leases, WorkerReady
from carsync.engine.local.page_queue import PageQueue
from carsync.engine.local.tally import Tally
from carsync.engine.messages import (
    UNUSED,
    Lease,
    PageFailed,
    PageLease,
    PageNamed,
    ProbeAnswered,
    ProbeLease,
    TokenIssued,
    WorkerFailed,
    kind_of,
)
from carsync.engine.reader import FeedReader, ProbeAnswer
from carsync.errors import CarsyncError, FailureKind, PageError
from carsync.model import MappedPage, ProbeVerdict
from carsync.source.auth.base import Readiness
from carsync.source.auth.token_store import Token, TokenStore
from carsync.source.rate_limit import Admission, Gate

POLL_S = 0.2
HEARTBEAT_S = 1.0
STEP_S = 10.0
"""Any step but a request may take this long: asking the gate, mapping a page, a turn."""


def run_fetcher(
    pipe: Connection, pages: PageQueue, gate: Gate, tokens: TokenStore, args: FetcherArgs
) -> None:
    """Run one fetcher process until the parent ends it or dies."""
    become_child(args.parent_pid)
    # A switch interval of 5 ms makes threads that have just read a body fight over the
    # interpreter; they give it up at every socket call anyway.
    sys.setswitchinterval(0.1)
    try:
        fetcher = Fetcher(pipe, pages, gate, tokens, args)
    except CarsyncError as exc:
        pipe.send(WorkerFailed.of(exc, "a fetcher"))
        return
    fetcher.run()


class Fetcher:
    """The control loop (main thread) and the worker threads of one fetcher process."""

    def __init__(
        self,
        pipe: Connection,
        pages: PageQueue,
        gate: Gate,
        tokens: TokenStore,
        args: FetcherArgs,
    ) -> None:
        self._pipe = pipe
        self._pages = pages
        self._gate = GateClient(gate, args.config.limits, self._send)
        self._config = args.config
        self._reader = FeedReader(args.config, args.threads, tokens, self._tell_token)
        self._authenticator = self._reader.client.authenticator
        self._leases: queue.SimpleQueue[Lease] = queue.SimpleQueue()
        self._tally = Tally(time.monotonic)
        self._stopping = threading.Event()  # finish what is in hand
        self._aborting = threading.Event()  # drop even that
        self._send_lock = threading.Lock()
        self._due_s: dict[int, float] = {}  # by thread: when its present step must be over
        self._threads = [
            threading.Thread(target=self._work, args=(n,), name=f"fetch-{n}", daemon=True)
            for n in range(args.threads)
        ]

    def run(self) -> None:
        """Turn the control loop: leases in, heartbeats out, deadlines enforced."""
        for thread in self._threads:
            thread.start()
        failpoints.reach("fetcher.booted")
        self._send(WorkerReady())
        beat_s = 0.0
        while not self._aborting.is_set() and (
            not self._stopping.is_set() or any(t.is_alive() for t in self._threads)
        ):
            self._receive()
            self._reader.client.enforce_deadlines()
            if time.monotonic() - beat_s >= HEARTBEAT_S:
                beat_s = time.monotonic()
                self._send(Heartbeat(self._overdue_s()))
                self._gate.tell_rate()
        if self._aborting.is_set():
            self._pages.abandon()
        self._pages.finish()

    def _receive(self) -> None:
        try:
            if not self._pipe.poll(POLL_S):
                return
            message = self._pipe.recv()
        except (EOFError, OSError):  # the parent is gone
            self._abort()
            return
        if isinstance(message, Leases):
            for lease in message.leases:
                self._leases.put(lease)
        elif isinstance(message, Drain):
            self._stopping.set()

    def _abort(self) -> None:
        self._stopping.set()
        self._aborting.set()

    def _send(self, event: Any) -> None:
        try:
            with self._send_lock:
                for told in self._tally.take():
                    self._pipe.send(told)
                self._pipe.send(event)
        except OSError:
            self._abort()

    def _overdue_s(self) -> float:
        now = time.monotonic()
        return max((now - due_s for due_s in list(self._due_s.values())), default=-math.inf)

    def _allow(self, number: int, seconds: float) -> None:
        """Note that this thread's next step takes at most `seconds`."""
        self._due_s[number] = time.monotonic() + seconds

    def _work(self, number: int) -> None:
        """Loop of one worker thread; whatever goes wrong in it ends the process, loudly."""
        try:
            while not self._stopping.is_set():
                self._allow(number, STEP_S)
                try:
                    lease = self._leases.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                failpoints.reach("fetch.leased")
                self._serve(number, lease)
        except (OSError, EOFError):  # the gate's: the API's are PageErrors. The manager is gone
            self._abort()
        except Exception as exc:
            self._send(WorkerFailed.of(exc, "a fetcher thread"))
            self._abort()
        finally:
            self._due_s.pop(number, None)

    def _serve(self, number: int, lease: Lease) -> None:
        """Make the attempt of a lease; leave it undone when told to stop before.

        A request for an access token takes an admission of its own, and so does another request
        for the page that was refused with the old one.
        """
        again = False
        while self._await_token(number) and (admission := self._pass_gate(number)) is not None:
            failpoints.reach("fetch.admitted")
            self._allow(number, self._config.api.timeout.total_s + STEP_S)
            started_s = time.monotonic()
            readiness = Readiness.WAIT
            try:
                readiness = self._authenticator.ready()
                if readiness is Readiness.READY:
                    return self._ask(number, lease, admission, started_s)
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

    def _await_token(self, number: int) -> bool:
        """Wait while another thread gets the access token; False when told to stop meanwhile."""
        while (wait_s := self._authenticator.wait_s()) > 0:
            self._allow(number, STEP_S)
            if self._stopping.wait(min(wait_s, POLL_S)):
                return False
        return True

    def _pass_gate(self, number: int) -> Admission | None:
        """Wait for a token while the breaker is closed; None when told to stop meanwhile."""
        return self._gate.admit(partial(self._allow, number, STEP_S), self._stopping.wait)

    def _heed(self, admission: Admission, status: int | None = None) -> None:
        limits = self._reader.client.limits_told()
        self._tally.note(limits)
        self._gate.heed(admission, limits, status)

    def _ask(self, number: int, lease: Lease, admission: Admission, started_s: float) -> None:
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
        if self._put(number, read.mapped):
            failpoints.reach("fetch.queued")
            self._send(read.fetched())
            failpoints.reach("fetch.reported")

    def _tell_next(self, page: int, token: str) -> None:
        self._send(PageNamed(page, token))

    def _tell_token(self, token: Token) -> None:
        self._send(TokenIssued(token))

    def _tell_failure(
        self, lease: Lease, exc: PageError, kind: FailureKind, latency_s: float
    ) -> None:
        if isinstance(lease, ProbeLease):
            answer = ProbeAnswer(ProbeVerdict.NOTHING, exc.problem)
            self._tell_answer(lease, answer, latency_s, exc.retry_after_s, kind)
            return
        self._send(
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
        self._send(ProbeAnswered(lease.record_id, lease.attempt, *told, *found, page=page))

    def _put(self, number: int, page: MappedPage) -> bool:
        """Put a page on the bounded queue, waiting for room; False when told to abort."""
        read_s = time.monotonic()
        while not self._aborting.is_set():
            self._allow(number, STEP_S)
            try:
                self._pages.put(page.aged(time.monotonic() - read_s), POLL_S)
            except queue.Full:
                continue
            return True
        return False
