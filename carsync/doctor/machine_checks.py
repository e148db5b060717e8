"""Judges the machine that a run would work on: its state folder, limits and memory."""

from __future__ import annotations

from msgspec import Struct

from carsync import formatting
from carsync.config.sections import Config
from carsync.doctor.findings import Finding, Findings, words
from carsync.errors import CarsyncError
from carsync.exit_codes import ExitCode

STATE_BYTES = 10_000_000
"""This much should be free beside the checkpoint: a new one is written before the old one goes."""
SHM_BYTES = 1_000_000
PROCESS_BYTES = 60_000_000
"""The memory of one process of a run, roughly; measured: 35 to 55 MB."""


class MachineFacts(Struct, frozen=True):
    """The machine as it is; None for what this system does not say.

    `folder` is the checkpoint's folder, or the nearest one above it that exists.
    `write_error` says why a file could not be written, flushed and renamed there.
    """

    versions: str
    checkpoint: str | None
    folder: str
    write_error: CarsyncError | None
    lock_error: CarsyncError | None
    read_error: CarsyncError | None
    is_locked: bool
    free_bytes: int | None
    free_files: int | None
    shm_free_bytes: int | None
    shm_writable: bool | None
    open_files: int | None
    available_bytes: int | None
    cores: int


def judge(config: Config, facts: MachineFacts) -> list[Finding]:
    """Judge the machine for a run of this configuration."""
    found = Findings(ExitCode.CONFIG)
    found.ok("versions", facts.versions)
    _judge_state(found, facts)
    if facts.is_locked:
        fix = "wait for its end; see `carsync status`"
        found.warn("other run", "a run of this target is in progress", fix)
    if config.engine.type == "local":
        _judge_limits(found, config, facts)
    return found.all


def _judge_state(found: Findings, facts: MachineFacts) -> None:
    if facts.checkpoint is None:
        found.skip(["checkpoint"], "its place depends on database.dsn, which is not set")
        return
    for error in (facts.write_error, facts.lock_error):
        if error is not None:
            found.failed("checkpoint", error)
            return
    if facts.read_error is not None:
        fix = "the next sync replaces it; the database knows what is staged"
        found.warn("checkpoint", words(facts.read_error), fix)
        return
    low = facts.free_bytes is not None and facts.free_bytes < STATE_BYTES
    if low or facts.free_files == 0:
        left = "no file" if facts.free_files == 0 else formatting.size(facts.free_bytes or 0)
        fix = f"free space there (df -h -i '{facts.folder}'), or set checkpoint.path"
        found.warn("checkpoint", f"{left} is left on the disk of {facts.folder}", fix)
        return
    free = "" if facts.free_bytes is None else f", {formatting.size(facts.free_bytes)} free"
    found.ok("checkpoint", f"{facts.checkpoint}: written, flushed, renamed{free}")


def _judge_limits(found: Findings, config: Config, facts: MachineFacts) -> None:
    shm_is_full = facts.shm_free_bytes is not None and facts.shm_free_bytes < SHM_BYTES
    if not facts.shm_writable or shm_is_full:
        seen = {None: "not there", False: "not writable", True: "full"}[facts.shm_writable]
        found.problem(
            "shared memory",
            f"/dev/shm is {seen}: processes cannot create their semaphores",
            "mount a tmpfs there (Docker: --shm-size=64m), or free space in it",
        )
    needed = 64 + 4 * config.limits.concurrency + 8 * config.database.writers
    if facts.open_files is not None and facts.open_files < needed:
        found.problem(
            "open files",
            f"a process may open {facts.open_files:,} files; {needed:,} may be needed",
            f"ulimit -n {max(1024, needed)} (systemd: LimitNOFILE=), or lower limits.concurrency",
        )
    elif facts.open_files is not None:
        found.ok("open files", f"up to {facts.open_files:,} a process")
    processes = 2 + config.limits.fetchers(facts.cores) + config.database.writers
    memory, available = processes * PROCESS_BYTES, facts.available_bytes
    if available is not None:
        taken = f"{processes} processes take about {formatting.size(memory)}"
        fix = (
            "lower database.writers or limits.fetcher_processes, or allow more memory (MemoryMax=)"
        )
        seen = f"{formatting.size(available)} available; {taken}"
        found.warn_if(available < memory, "memory", seen, fix)
