"""A fetcher process: its threads take leases, read pages, and put them on the queue."""

from __future__ import annotations

import queue
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from msgspec.structs import replace

from carsync import failpoints
from carsync.engine.attempts import POLL_S, Attempts
from carsync.engine.local.child import become_child
from carsync.engine.local.messages import Drain, FetcherArgs, Heartbeat, Leases, WorkerReady
from carsync.engine.local.page_queue import PageQueue
from carsync.engine.messages import Lease, WorkerFailed
from carsync.engine.reader import PageRead
from carsync.errors import CarsyncError
from carsync.model import MappedPage
from carsync.packed_rows import pack
from carsync.source.auth.token_store import TokenStore
from carsync.source.rate_limit import Gate

HEARTBEAT_S = 1.0


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
        self._attempts = Attempts(
            args.config, args.threads, gate, tokens, self._send, self._take_page
        )
        self._leases: queue.SimpleQueue[Lease] = queue.SimpleQueue()
        self._stopping = self._attempts.stopping  # finish what is in hand
        self._aborting = threading.Event()  # drop even that
        self._send_lock = threading.Lock()
        self._steps = self._attempts.steps
        self._threads = [
            threading.Thread(target=self._work, name=f"fetch-{n}", daemon=True)
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
            self._attempts.turn()
            if time.monotonic() - beat_s >= HEARTBEAT_S:
                beat_s = time.monotonic()
                self._send(Heartbeat(self._steps.overdue_s()))
                self._attempts.tell()
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
                self._pipe.send(event)
        except OSError:
            self._abort()

    def _work(self) -> None:
        """Loop of one worker thread; whatever goes wrong in it ends the process, loudly."""
        try:
            while not self._stopping.is_set():
                self._steps.allow()
                try:
                    lease = self._leases.get(timeout=POLL_S)
                except queue.Empty:
                    continue
                failpoints.reach("fetch.leased")
                self._attempts.serve(lease)
        except (OSError, EOFError):  # the gate's: the API's are PageErrors. The manager is gone
            self._abort()
        except Exception as exc:
            self._send(WorkerFailed.of(exc, "a fetcher thread"))
            self._abort()
        finally:
            self._steps.end()

    def _take_page(self, read: PageRead) -> None:
        if self._put(read.mapped):
            failpoints.reach("fetch.queued")
            self._attempts.send(read.fetched())
            failpoints.reach("fetch.reported")

    def _put(self, page: MappedPage) -> bool:
        """Put a page on the bounded queue, waiting for room; False when told to abort."""
        read_s = time.monotonic()
        page = replace(page, rows=pack(page.rows))
        while not self._aborting.is_set():
            self._steps.allow()
            try:
                self._pages.put(page.aged(time.monotonic() - read_s), POLL_S)
            except queue.Full:
                continue
            return True
        return False
