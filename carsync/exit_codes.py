"""The exit codes, each with its meaning and the operator's next step: one table for all views."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class ExitCode(IntEnum):
    """Exit codes of the `carsync` command; 75 is EX_TEMPFAIL of sysexits.h."""

    OK = 0
    BUG = 1
    CONFIG = 2
    API = 3
    DATABASE = 4
    PARTIAL = 5
    HELD = 6
    ACCEPTANCE = 7
    WORKERS = 8
    LOCKED = 75
    SIGINT = 130
    SIGTERM = 143


class Advice(NamedTuple):
    """What an exit code means, and the operator's next step.

    `at_large` is the next step in the reference, where no hint of a run stands before it.
    """

    meaning: str
    next_step: str
    at_large: str = ""


_RESUMES = "run `carsync sync` again: it resumes"

ADVICE: dict[ExitCode, Advice] = {
    ExitCode.OK: Advice("complete", "nothing to do"),
    ExitCode.BUG: Advice("a bug in carsync", "report the bug, with the log"),
    ExitCode.CONFIG: Advice(
        "usage or configuration", "correct what is named above, then run `carsync sync` again"
    ),
    ExitCode.API: Advice("the API failed", _RESUMES),
    ExitCode.DATABASE: Advice("the database failed", _RESUMES),
    ExitCode.PARTIAL: Advice(
        "partial: only a part of the feed was merged",
        "run `carsync sync` again",
    ),
    ExitCode.HELD: Advice(
        "held: a person must look",
        "or do nothing: the next run decides again",
        at_large="see why with `carsync runs show RUN_ID`, and what is held with `carsync approve "
        "RUN_ID --dry-run`; approve it if it is right, or do nothing: the next run decides again",
    ),
    ExitCode.ACCEPTANCE: Advice(
        "complete, but an acceptance check failed",
        "look at the checks; the table is in step with the feed",
    ),
    ExitCode.WORKERS: Advice("worker processes kept dying", "look at the log, then " + _RESUMES),
    ExitCode.LOCKED: Advice("another run holds the lock", "nothing to do: wait for its end"),
    ExitCode.SIGINT: Advice("stopped by SIGINT", _RESUMES),
    ExitCode.SIGTERM: Advice("stopped by SIGTERM", _RESUMES),
}
"""Every exit code of the `carsync` command."""

_UNKNOWN = Advice("ended in an unknown way", _RESUMES)


def advise(exit_code: int) -> Advice:
    """Return what `exit_code` means and the next step.

    >>> advise(5).next_step
    'run `carsync sync` again'
    """
    try:
        return ADVICE[ExitCode(exit_code)]
    except ValueError:
        return _UNKNOWN
