"""The checkpoint: a small file that says how far the run of one target has come.

The checkpoint serves `carsync status`, the decision to resume and the operator; only the
ledger in PostgreSQL knows what is staged. The file is one JSON document

    {"version": 1, "checksum": "<32 hex digits>", "body": {…}}

and a line feed. The checksum is XXH3-128 over the version and the body without
insignificant white space: a reformatted file stays valid, an edited one does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import xxhash

from carsync.errors import CheckpointError
from carsync.model import Check, MergeCounts, RunMode, RunState
from carsync.state import atomic_file
from carsync.state.api_use import ApiUse, Quota
from carsync.state.checkpoint_errors import translating
from carsync.state.clock import Moment
from carsync.state.figures import KeptFigures, Latency, Slowed

VERSION = 1
MAX_FAILED_PAGES = 100
MAX_PROBLEM_CHARS = 300

ACTIVE_STATES: frozenset[RunState] = frozenset({"running", "merging"})


class LastRun(msgspec.Struct, frozen=True, kw_only=True):
    """The last run whose merge was committed: its outcome, counts and acceptance checks.

    `api_clock` is the API's time when it asked for its first page; None: the API sends none.
    """

    run_id: int
    state: RunState
    exit_code: int
    finished_at: datetime
    duration_s: float
    counts: MergeCounts
    acceptance: tuple[Check, ...] = ()
    api_clock: datetime | None = None


class LastOfMode(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of the runs of one mode: the last merged one and the last success."""

    last_completed: LastRun | None = None
    last_success_at: datetime | None = None


class RunStanding(KeptFigures, frozen=True, kw_only=True):
    """Where one run stands, or how it ended; times are aware UTC, rates per second.

    An incremental run asks for what changed since `window_from`; its `window_overlap_s` lies
    before the run whose changes are known. `fingerprints` holds one digest each for `feed`,
    `mapping` and `table`; a run is resumed only where all are equal. `lists_done` counts the
    feed's lists that were read, `lists_planned` all; 0: it has none. `pages_done` counts all
    staged pages, `pages_ranges` lists them ("1-500,502"). `pages_failed` maps a page (`7`, or
    `7 of make=Kia`) to its problem, at most `MAX_FAILED_PAGES` of the `pages_given_up`.
    `rows_per_s` and `latency` are those of the session so far. `requests` counts those of the run
    by kind.
    """

    run_id: int | None
    token: str
    pid: int
    mode: RunMode = "full"
    window_from: datetime | None = None
    window_overlap_s: float | None = None
    state: RunState
    phase: str
    started_at: datetime
    updated_at: datetime
    fingerprints: dict[str, str] = msgspec.field(default_factory=dict)
    lists_planned: int = 0
    lists_done: int = 0
    pages_done: int = 0
    pages_ranges: str = ""
    pages_failed: dict[str, str] = msgspec.field(default_factory=dict)
    pages_given_up: int = msgspec.field(default=0, name="pages_failed_count")
    rows_per_s: float = 0.0
    eta_s: float | None = None
    latency: Latency | None = None
    slowed: Slowed | None = None
    problem: str = ""
    hint: str = ""
    exit_code: int | None = None
    requests: dict[str, int] = msgspec.field(default_factory=dict)


class CheckpointState(RunStanding, frozen=True, kw_only=True):
    """What the parent knows of its run, and what is remembered of the runs before it.

    `last_completed` and `last_success_at` are those of runs of the whole feed, whatever came since;
    `incremental` are those of incremental runs. `last_success_at` dates the data of the last run
    that left the table equal to the feed (exit 0 or 7): no page is older. `other` is where the
    last run of the other mode stands, an unfinished one too. `boot_id` and `updated_uptime_s` are
    `updated_at` by the clock that nobody can set. `tried`: last update by a dry run, which uses
    the rate limit too and leaves every other field as it is. `place` names server, database, table
    and source: a file is of no use to a run of another place. `api_use` counts the requests of all
    runs, as far as this one knew. No field ever holds a secret.
    """

    source: str
    target: str
    place: str = ""
    last_completed: LastRun | None = None
    last_success_at: datetime | None = None
    incremental: LastOfMode | None = None
    other: RunStanding | None = None
    boot_id: str = ""
    updated_uptime_s: float = 0.0
    tried: Moment | None = None
    api_use: ApiUse | None = None
    quotas: tuple[Quota, ...] = ()

    @property
    def updated(self) -> Moment:
        """The moment of the last save, by both clocks."""
        return Moment(self.updated_at, self.boot_id, self.updated_uptime_s)

    @property
    def standing(self) -> RunStanding:
        """Where the run itself stands, without what is remembered of others."""
        return RunStanding(**{name: getattr(self, name) for name in RunStanding.__struct_fields__})

    def last_of(self, mode: RunMode) -> LastOfMode | None:
        """Return what is remembered of the runs of a mode; None where none was merged."""
        if mode == "incremental":
            return self.incremental
        if self.last_completed is None and self.last_success_at is None:
            return None
        return LastOfMode(last_completed=self.last_completed, last_success_at=self.last_success_at)

    def standing_of(self, mode: RunMode) -> RunStanding | None:
        """Return where the last run of a mode stands; None where there was none."""
        return next((run for run in (self, self.other) if run and run.mode == mode), None)


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    checksum: str
    body: msgspec.Raw


def failed_excerpt(failed: Mapping[int, str] | Mapping[int | str, str]) -> dict[str, str]:
    """Return the first `MAX_FAILED_PAGES` failed pages, problems cut to one line.

    >>> failed_excerpt({2: "answered 500\\nand more", 9: "timeout"})
    {'2': 'answered 500', '9': 'timeout'}
    """
    first = list(failed.items())[:MAX_FAILED_PAGES]
    return {
        str(page): next(iter(problem.splitlines()), "")[:MAX_PROBLEM_CHARS]
        for page, problem in first
    }


def default_path(environ: Mapping[str, str], home: Path, target: str) -> Path:
    """Return where the checkpoint of `target` lies unless the configuration says otherwise.

    `$STATE_DIRECTORY` (its first folder: systemd.exec(5) separates several by colons),
    else `$XDG_STATE_HOME/carsync`, else `~/.local/state/carsync` (XDG Base Directory
    Specification: a relative path there is ignored).

    >>> default_path({"STATE_DIRECTORY": "/var/lib/carsync:/x"}, Path("/root"), "public.cars-1")
    PosixPath('/var/lib/carsync/public.cars-1.json')
    """
    folder = Path(environ.get("STATE_DIRECTORY", "").split(":")[0])
    if not folder.is_absolute():
        state_home = Path(environ.get("XDG_STATE_HOME", ""))
        folder = (state_home if state_home.is_absolute() else home / ".local/state") / "carsync"
    name = re.sub(r"[^A-Za-z0-9._-]", "_", target).lstrip(".") or "target"
    return folder / f"{name}.json"


def save(path: Path, state: CheckpointState) -> None:
    """Replace the checkpoint at `path` by `state`, readable by its owner only.

    The new file survives a power cut. Raises `CheckpointError`: the old file is untouched then,
    and nothing else is left behind.
    """
    with translating("write", path):
        atomic_file.make_folder(path.parent)
        atomic_file.replace(path, _seal(state))


def load(path: Path, place: str = "") -> CheckpointState | None:
    """Return the checkpoint at `path`, or None where there is no such file.

    Raises `CheckpointError` where the file cannot be read, is truncated, was changed
    after it was written, comes from a newer carsync, or is that of another `place`.
    """
    with translating("read", path):
        data = atomic_file.read(path)
    state = None if data is None else _open_seal(path, data)
    if state is not None and place and state.place and state.place != place:
        raise CheckpointError(
            "the checkpoint file is that of another source, table or database",
            detail=f"{path} is of {state.source} → {state.target} ({state.place}), not of {place}",
            hint="give each configuration a checkpoint.path of its own, or leave it out",
        )
    return state


def load_or_none(
    path: Path, place: str, on_error: Callable[[CheckpointError], object] = lambda error: None
) -> CheckpointState | None:
    """Return the checkpoint of `place` at `path`, or None where there is none that can be read.

    `on_error` learns why a file that is there cannot be read.
    """
    try:
        return load(path, place)
    except CheckpointError as exc:
        on_error(exc)
        return None


def _seal(state: CheckpointState) -> bytes:
    body = msgspec.json.encode(state)
    envelope = _Envelope(VERSION, _checksum(VERSION, body), msgspec.Raw(body))
    return msgspec.json.format(msgspec.json.encode(envelope), indent=2) + b"\n"


def _open_seal(path: Path, data: bytes) -> CheckpointState:
    if not data.strip(b"\0 \n"):
        raise _unusable(path, "is empty", "it was cut short, perhaps by a full disk")
    if not data.endswith(b"}\n"):
        raise _unusable(path, "is truncated", f"it ends after {len(data)} bytes")
    try:
        envelope = msgspec.json.decode(data, type=_Envelope)
        intact = envelope.checksum == _checksum(
            envelope.version, msgspec.json.format(bytes(envelope.body), indent=-1)
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise _unusable(path, "is damaged", f"not a checkpoint: {exc}") from None
    if not intact:
        words = "its checksum is wrong: it was changed after it was written"
        raise _unusable(path, "is damaged", words)
    if envelope.version > VERSION:
        raise CheckpointError(
            "the checkpoint was written by a newer carsync",
            detail=f"{path} has version {envelope.version}, this carsync reads up to {VERSION}",
            hint="use the newer carsync, or move the file away to start without it",
        )
    try:
        return msgspec.json.decode(envelope.body, type=CheckpointState)
    except msgspec.ValidationError as exc:
        raise _unusable(path, "has unknown contents", str(exc)) from None


def _checksum(version: int, canonical_body: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(b"%d\n" % version + canonical_body)


def _unusable(path: Path, what: str, detail: str) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint {what}",
        detail=f"{path}: {detail}",
        hint="run `carsync sync`: it writes a new checkpoint and resumes from the "
        "database; the table is not affected",
    )
