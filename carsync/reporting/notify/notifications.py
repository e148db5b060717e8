"""Notices for a web hook: which ends of a run are worth one, and in which words.

Pure: the time comes in. `webhook.py` sends them, after the run's end is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from carsync import __version__, formatting
from carsync.config.sections import NoticeEvent, Notify
from carsync.exit_codes import ExitCode, advise
from carsync.model import Mode, RunMode
from carsync.run.report import RunReport
from carsync.state.checkpoint import CheckpointState
from carsync.state.freshness import data_at, staleness

SCHEMA = "carsync.notice"
VERSION = 1
"""Raised where a field changes its meaning or goes; new fields may come at any time."""

NoticeKind = NoticeEvent | Literal["test", "unit"]
Severity = Literal["info", "warning", "error", "critical"]

_DAY = timedelta(days=1)
MAX_CHARS = 600
"""A text of the notice is cut here."""

_FAILED = (ExitCode.BUG, ExitCode.CONFIG, ExitCode.API, ExitCode.DATABASE, ExitCode.WORKERS)
_BAD: dict[int, NoticeEvent] = {
    **dict.fromkeys(_FAILED, "failed"),
    ExitCode.PARTIAL: "partial",
    ExitCode.HELD: "held",
    ExitCode.ACCEPTANCE: "acceptance",
}
_MENDED = frozenset({"failed", "partial", "held"})
SILENT = frozenset({ExitCode.LOCKED, ExitCode.SIGINT, ExitCode.SIGTERM})
"""Ends that are nobody's concern: another run is at work, or somebody stopped this one."""
_SEVERITY: dict[NoticeKind, Severity] = {
    "failed": "error",
    "stale": "critical",
    "unit": "error",
    "recovered": "info",
    "test": "info",
}
_OF_THE_RUN = (
    *("source", "target", "run_id", "started_at", "finished_at"),
    *("problem", "detail", "hint"),
)
_SIGNS: dict[Severity, str] = {"info": "🟢", "warning": "🟡", "error": "🔴", "critical": "🚨"}
_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Notice(Struct, frozen=True, kw_only=True):
    """One message about a target; the fields are those of the JSON format."""

    event: NoticeKind
    severity: Severity
    source: str
    target: str
    host: str
    sent_at: datetime
    run_id: int | None = None
    exit_code: int | None = None
    meaning: str = ""
    problem: str = ""
    detail: str = ""
    hint: str = ""
    next_step: str = ""
    mode: RunMode | None = None
    stale: str = ""
    """Why the data are too old; empty where they are not."""
    last_success_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_s: float | None = None
    counts: dict[str, int] | None = None
    unit: str | None = None


def event_of(exit_code: int, previous_exit_code: int | None) -> NoticeEvent | None:
    """Return which event the end of a run is; None where it is worth no notice.

    >>> event_of(3, 0), event_of(0, 3), event_of(0, 0), event_of(75, None)
    ('failed', 'recovered', None, None)
    """
    if exit_code != ExitCode.OK:
        return _BAD.get(exit_code)
    was = _BAD.get(previous_exit_code) if previous_exit_code is not None else None
    return "recovered" if was in _MENDED else None


def about_run(
    notify: Notify, report: RunReport, before: CheckpointState | None, now: datetime, host: str
) -> Notice | None:
    """Return what to say of a run that ended, None for nothing.

    `before` is the checkpoint as the run found it. A run that was stopped or locked out is
    nobody's concern, and a dry run or one of some pages concerns only who asked for it. A
    failure and a last success that is too old are one notice. An incremental run comes every
    hour: what was told of the one before it is told again once a day.
    """
    if report.exit_code in SILENT or report.dry_run or report.max_pages is not None:
        return None
    mode: Mode = "incremental" if report.mode == "incremental" else "full"
    last_success_at = data_at(before, mode)
    stale = None
    if not report.is_success and last_success_at is not None:
        stale = staleness(before, now, notify.stale_after_s(mode), mode)
    previous = before.standing_of(mode) if before else None
    event = event_of(report.exit_code, previous.exit_code if previous else None)
    if mode == "incremental" and _was_told(notify, event, stale, before, now):
        return None
    found: list[NoticeEvent] = [event] if event else []
    found += ["stale"] if stale else []
    wanted = [each for each in found if each in notify.events]
    if not wanted:
        return None
    severity = _SEVERITY.get(wanted[-1], "warning")
    return Notice(
        event=wanted[0],
        severity="error" if mode == "incremental" and stale else severity,
        mode=report.mode,
        host=host,
        sent_at=now,
        stale=stale or "",
        last_success_at=report.data_at if report.is_success else last_success_at,
        **_run_fields(report),
    )


def _was_told(
    notify: Notify,
    event: NoticeEvent | None,
    stale: str | None,
    before: CheckpointState | None,
    now: datetime,
) -> bool:
    """Say whether the incremental run before, not a day ago, had the same to tell."""
    previous = before.standing_of("incremental") if before else None
    if previous is None or previous.exit_code is None or event == "recovered":
        return False
    told_at, since = previous.updated_at, data_at(before, "incremental")
    was_stale = staleness(before, told_at, notify.stale_after_s("incremental"), "incremental")
    if event != event_of(previous.exit_code, None) or bool(stale) != bool(was_stale):
        return False
    return since is None or (now - since) // _DAY == (told_at - since) // _DAY


def _run_fields(report: RunReport) -> dict[str, Any]:
    return {
        **{name: getattr(report, name) for name in _OF_THE_RUN},
        "exit_code": int(report.exit_code),
        "meaning": advise(report.exit_code).meaning,
        "next_step": report.advice,
        "duration_s": round(report.duration_s, 1),
        "counts": None if report.counts is None else asdict(report.counts),
    }


def about_bug(notify: Notify, kind: str, **common: Any) -> Notice | None:
    """Return what to say of a run that a bug ended; `kind` is the exception's class."""
    if "failed" not in notify.events:
        return None
    advice = advise(ExitCode.BUG)
    return Notice(
        event="failed",
        severity="error",
        exit_code=int(ExitCode.BUG),
        meaning=advice.meaning,
        problem=f"a bug in carsync: {kind}",
        next_step=advice.next_step,
        **common,
    )


def about_unit(
    unit: str,
    message: str,
    environ: Mapping[str, str],
    state: CheckpointState | None,
    **common: Any,
) -> Notice:
    """Return what to say of a systemd unit that failed, with what the checkpoint knows.

    systemd gives `OnFailure=` units MONITOR_SERVICE_RESULT, MONITOR_EXIT_CODE and
    MONITOR_EXIT_STATUS (systemd.exec(5), since 251).
    """
    result = environ.get("MONITOR_SERVICE_RESULT", "")
    status = environ.get("MONITOR_EXIT_STATUS", "")
    exit_code = int(status) if status.isdecimal() else None
    meaning = "" if exit_code is None else advise(exit_code).meaning
    parts = [f"result {result}"] if result else []
    if status:
        parts.append(f"signal {status}" if exit_code is None else f"exit {exit_code}: {meaning}")
    why = f" ({', '.join(parts)})" if parts else ""
    return Notice(
        event="unit",
        severity="error",
        unit=unit,
        exit_code=exit_code,
        meaning=meaning,
        problem=message or f"the unit {unit} failed{why}",
        next_step=f"look at `carsync status` and `journalctl -u {unit}`",
        run_id=state.run_id if state else None,
        last_success_at=state.last_success_at if state else None,
        **common,
    )


def was_sent(
    environ: Mapping[str, str], exit_code: int | None, sent_at: datetime | None, now: datetime
) -> bool:
    """Say whether the run that made a unit fail has sent a notice of that itself, moments ago."""
    if exit_code is None or sent_at is None:
        return False
    same = environ.get("MONITOR_EXIT_STATUS") == str(exit_code)
    return same and timedelta(0) <= now - sent_at <= timedelta(minutes=2)


def render(notice: Notice, format_: Literal["slack", "json"]) -> bytes:
    """Return the body to post: all fields, or Slack's `{"text": …}`."""
    if format_ == "slack":
        return msgspec.json.encode({"text": _slack_text(notice)})
    head = {"schema": SCHEMA, "version": VERSION, "carsync": __version__}
    fields = {n: _tidy(v) if isinstance(v, str) else v for n, v in asdict(notice).items()}
    return msgspec.json.encode({**head, **fields})


def headline(notice: Notice) -> str:
    """Say it in one sentence."""
    subject = f"{notice.source} → {notice.target}"
    if notice.mode == "incremental":
        subject += ", incremental run"
    words = {
        "test": "a test; carsync's notifications arrive here",
        "recovered": "complete again",
        "stale": "out of date",
        "unit": f"{notice.unit} failed",
    }
    return f"{subject}: {words.get(notice.event, notice.meaning)}"


def _slack_text(notice: Notice) -> str:
    """Lay the notice out for people; what the feed or the database said cannot mark it up.

    Slack reads `&`, `<` and `>` as control characters ("Formatting text for app surfaces").
    """
    where = f"run {notice.run_id} · {notice.host}" if notice.run_id else notice.host
    lines = [f"{_SIGNS[notice.severity]} *carsync · {_escape(headline(notice))}*", _escape(where)]
    if notice.event not in {"recovered", "test"}:
        lines += [_escape(text) for text in (notice.problem, notice.detail, notice.stale) if text]
    if notice.counts:
        counts = [f"{n:,} {name}" for name, n in notice.counts.items() if n and name != "seen"]
        lines.append(", ".join(counts))
    if notice.next_step and notice.event not in {"recovered", "test"}:
        lines.append(f"*next:* {_escape(notice.next_step)}")
    return "\n".join(lines)


def _escape(text: str) -> str:
    return _tidy(text).translate(_SLACK)


def _tidy(text: str) -> str:
    text = formatting.printable(text).encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"
