"""The error tree: a class says who is to blame, the exit code and what happens next.

    CarsyncError                      exit 1   a bug, unless a subclass says otherwise
    ├─ ConfigError                    exit 2   the file, a variable or an option is wrong
    ├─ ApprovalError                  exit 2   held deactivations cannot be approved
    ├─ ImplausibleError               exit 6   too many values changed at once
    ├─ RevertError                    exit 2   a run cannot be taken back, or not all of it
    ├─ CursorError                    exit 2   the feed of changes cannot be read from a cursor on
    ├─ ApiError                       exit 3   the API failed; the run can be resumed
    │  ├─ ApiAuthError                         401/403: ends the run at once
    │  ├─ ApiUnavailableError                  nothing could be read, or the breaker gave up
    │  ├─ RequestBudgetError                   `limits.budget` leaves too few requests
    │  └─ RejectBudgetError                    too many records cannot be mapped
    ├─ PageError                               one attempt failed; `kind` decides the retry
    ├─ DatabaseError                  exit 4   PostgreSQL refused or went away; resumable
    │  ├─ DatabaseUnavailableError             no connection, or it broke
    │  ├─ DatabasePermissionError              a grant is missing
    │  ├─ DatabaseBusyError                    another session holds a lock for too long
    │  ├─ DatabaseConflictError                deadlock or write conflict: may be repeated
    │  ├─ StagingLostError                     the ledger no longer holds what was staged
    │  └─ UnmergeableError                     what was staged cannot be merged: not resumable
    ├─ CheckpointError                exit 2   the checkpoint file cannot be written or read
    ├─ NoticeError                    exit 3   a web hook did not take a notice
    ├─ WorkersDiedError               exit 8   the restart budget is spent
    └─ LockedError                    exit 75  another run holds the lock

A message has three parts: the problem, the detail and the hint what to do next
(PostgreSQL Error Message Style Guide, section 55.3 of its manual).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from carsync.exit_codes import ExitCode
from carsync.redaction import clean


class FailureKind(StrEnum):
    """Why one attempt failed; `source/retry.py` has the back-off of each kind."""

    RATE_LIMITED = "rate_limited"  # 420, 429, or 403 or 503 with Retry-After or of a limiter
    SERVER = "server_error"  # 5xx
    NETWORK = "network"  # refused, reset, name not resolved, TLS
    TIMEOUT = "timeout"  # connect, read or total deadline
    BAD_PAGE = "bad_page"  # 200 that is not the page asked for
    CLIENT = "client_error"  # any other 4xx, or a redirect: not retried
    WORKER = "worker_lost"  # whoever made the attempt is gone, or could not stage the page
    AUTH = "auth"  # 401, or 403 before any good page: ends the run


class CarsyncError(Exception):
    """Base of all errors that an operator may read.

    `problem` is one sentence. `detail`, what was seen, and `hint`, what to do, may be empty.
    None of them quotes a secret.
    """

    exit_code: ExitCode = ExitCode.BUG

    def __init__(self, problem: str, *, detail: str = "", hint: str = "") -> None:
        self.problem = clean(problem)
        self.detail = clean(detail)
        self.hint = clean(hint)
        super().__init__(self.problem)

    def __str__(self) -> str:
        lines = [self.problem]
        if self.detail:
            lines.append(f"detail: {self.detail}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class ConfigError(CarsyncError):
    """The configuration is wrong; nothing was touched."""

    exit_code = ExitCode.CONFIG


class ApprovalError(CarsyncError):
    """Held deactivations cannot, or can no longer, be approved; nothing was touched."""

    exit_code = ExitCode.CONFIG


class ImplausibleError(CarsyncError):
    """Too many values of the feed changed at once; nothing was merged, a person must look."""

    exit_code = ExitCode.HELD


class RevertError(CarsyncError):
    """A run cannot be taken back, or not all of it; nothing was touched."""

    exit_code = ExitCode.CONFIG


class CursorError(CarsyncError):
    """The feed of changes cannot be read from this cursor on, at least not without a gap."""

    exit_code = ExitCode.CONFIG


class ApiError(CarsyncError):
    """The API failed, in spite of retries."""

    exit_code = ExitCode.API


class ApiAuthError(ApiError):
    """The API refused the key (401/403)."""


class ApiUnavailableError(ApiError):
    """No page could be read, or the API kept failing until the breaker gave up."""


class RequestBudgetError(ApiError):
    """`limits.budget` leaves too few requests."""


class RejectBudgetError(ApiError):
    """More records than `sync.max_reject_share` could not be mapped."""


class PageError(CarsyncError):
    """One attempt at one page failed.

    `status` is the HTTP status where there was an answer; `retry_after_s` the
    parsed Retry-After (RFC 9110, section 10.2.3) in seconds; `named` is what a refusal
    names: where a redirect leads, or the scheme by which a 401 wants to be told who asks.
    `first_attempts`: as long as the API has not answered in this run, a request that fails so
    is made this often at most, as no retry mends that (None: as often as any other).
    """

    exit_code = ExitCode.API

    def __init__(
        self,
        kind: FailureKind,
        problem: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        first_attempts: int | None = None,
        detail: str = "",
        hint: str = "",
        named: str = "",
    ) -> None:
        super().__init__(problem, detail=detail, hint=hint)
        self.kind = kind
        self.named = named
        self.status = status
        self.retry_after_s = retry_after_s
        self.first_attempts = first_attempts


class DatabaseError(CarsyncError):
    """PostgreSQL refused a statement."""

    exit_code = ExitCode.DATABASE


class DatabaseUnavailableError(DatabaseError):
    """There is no connection to PostgreSQL, or the connection broke."""


class DatabasePermissionError(DatabaseError):
    """The role lacks a privilege."""


class DatabaseBusyError(DatabaseError):
    """A lock was not granted within `database.lock_timeout_s`."""


class DatabaseConflictError(DatabaseError):
    """PostgreSQL rolled the transaction back for another session; it may be repeated."""


class StagingLostError(DatabaseError):
    """The ledger lacks staged pages (PostgreSQL empties UNLOGGED tables in a crash)."""


class UnmergeableError(DatabaseError):
    """What was staged cannot be merged, nor could it be tomorrow: the next run reads it anew."""


class CheckpointError(CarsyncError):
    """The checkpoint file cannot be read or written."""

    exit_code = ExitCode.CONFIG


class NoticeError(CarsyncError):
    """A web hook did not accept a notification.

    `retryable`: another attempt may succeed. `retry_after_s`: the seconds that the hook
    asked to wait.
    """

    exit_code = ExitCode.API

    def __init__(
        self,
        problem: str,
        *,
        detail: str = "",
        hint: str = "",
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(problem, detail=detail, hint=hint)
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class WorkersDiedError(CarsyncError):
    """Worker processes kept dying until the restart limit was reached."""

    exit_code = ExitCode.WORKERS


class LockedError(CarsyncError):
    """Another run holds the lock of this target."""

    exit_code = ExitCode.LOCKED


def _family(cls: type[CarsyncError]) -> Iterator[type[CarsyncError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _family(child)


_REVIVABLE = {cls.__name__: cls for cls in _family(CarsyncError) if cls is not PageError}
"""The errors that their name and words make whole; a `PageError` has a kind as well."""


def revive(name: str, problem: str, detail: str, hint: str) -> CarsyncError:
    """Rebuild an error of a child process from the name of its class and from its words.

    An unknown name makes a `CarsyncError`: a bug.

    >>> revive("DatabaseUnavailableError", "gone", "", "").exit_code
    <ExitCode.DATABASE: 4>
    """
    return _REVIVABLE.get(name, CarsyncError)(problem, detail=detail, hint=hint)
