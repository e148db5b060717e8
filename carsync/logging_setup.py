"""The log on standard error: lines for people, or one JSON object a line for machines.

`bind` sets the fields of all further lines (the run, its phase). The fields of one line
come with that line: `log.warning("…", extra={"page": 7})`.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO

from carsync import stdio
from carsync.formatting import printable
from carsync.redaction import clean

Format = Literal["text", "json"]
VARIABLE = "CARSYNC_LOG_FORMAT"
"""The environment variable for the format, where no option gives one."""

_STDERR = 2
_TEXT = "%(asctime)s %(levelname)-7s %(message)s"
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

_bound: dict[str, Any] = {}

log = logging.getLogger(__name__)


def set_up(format_: Format, level: int) -> None:
    """Send the log of this process to standard error in this format, from `level` on.

    With JSON, warnings and uncaught exceptions become lines of JSON too.
    """
    formatter: logging.Formatter = JsonFormatter()
    if format_ == "text":
        formatter = JournalFormatter() if in_journal() else TextFormatter(_TEXT)
    handler = _JsonHandler(sys.stderr) if format_ == "json" else logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Its warnings are of answers that are judged anyway, each with a traceback and the address.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    _bound.clear()
    as_json = format_ == "json"
    logging.captureWarnings(as_json)
    logging.raiseExceptions = not as_json
    if as_json:
        sys.excepthook = _tell_uncaught
        threading.excepthook = _tell_uncaught_in_thread


def is_json() -> bool:
    """Say whether this process logs JSON."""
    return any(isinstance(h.formatter, JsonFormatter) for h in logging.getLogger().handlers)


def tell_bug(exc: BaseException) -> None:
    """Log an exception that nobody expected, with its traceback."""
    _tell_uncaught(type(exc), exc, exc.__traceback__)


def bind(**fields: Any) -> None:
    """Put these fields into every further JSON line of this process; None removes a field."""
    _bound.update(fields)
    for name in [name for name, value in _bound.items() if value is None]:
        del _bound[name]


def in_journal(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether this process's standard error goes to systemd's journal.

    `JOURNAL_STREAM` holds device and inode of the journal's socket (systemd.exec(5)).
    Processes whose output goes elsewhere inherit the variable, so the socket is compared.
    """
    stream = environ.get("JOURNAL_STREAM", "")
    if not stream:
        return False
    try:
        status = os.fstat(_STDERR)
    except OSError:
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


class TextFormatter(logging.Formatter):
    """Lines for people: a message stays on one line, even with line breaks of the feed."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the message on one line; a traceback follows on lines of its own."""
        record.message = printable(record.message)
        return super().formatMessage(record)


class JournalFormatter(TextFormatter):
    """Lines for systemd's journal, which adds the time: each begins with its priority.

    `<3>` is an error, `<4>` a warning, `<6>` information, `<7>` detail (sd-daemon(3)).
    """

    def __init__(self) -> None:
        super().__init__("%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Put the priority before every line."""
        priority = next((p for level, p in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class _JsonHandler(logging.StreamHandler[TextIO]):
    """Writes lines whose values hold no secret past the stream that looks for secrets.

    A password that is a name of the log, or a number, must not make a line unreadable.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            stdio.write_clean(self.stream, self.format(record))
        except Exception:
            self.handleError(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII, so that no text of the feed's can end the line.

    Its texts hold no secret; names, numbers and what is bound stay as they are.
    `timestamp` (UTC, milliseconds), `level`, `logger`, `message`, `process`; then the bound
    fields; then the line's own; `exception` and `traceback` where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its line feed."""
        at = datetime.fromtimestamp(record.created, UTC)
        data: dict[str, Any] = {
            "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(record.getMessage()),
            "process": process_name(),
        }
        data |= _bound
        own = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        data |= {name: value if name == "event" else _plain(value) for name, value in own.items()}
        if record.exc_info and record.exc_info[0] is not None:
            data["exception"] = record.exc_info[0].__name__
            data["traceback"] = clean("".join(traceback.format_exception(*record.exc_info)))
        return json.dumps(data).replace("\x7f", "\\u007f")


def process_name() -> str:
    """Return this process's name in the log: "parent", "fetcher-1", "writer-2", …"""
    name = multiprocessing.current_process().name
    return "parent" if name == "MainProcess" else name.removeprefix("carsync ")


def _plain(value: Any) -> Any:
    """Return `value` as JSON can hold it, with `***` for a secret."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    return clean(str(value))


def _tell_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    log.critical(
        "a bug: %s: %s", kind.__name__, error, exc_info=(kind, error, trace), extra={"event": "bug"}
    )


def _tell_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _tell_uncaught(args.exc_type, args.exc_value, args.exc_traceback)
