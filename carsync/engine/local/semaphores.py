"""What the processes of a run must be able to share on this machine."""

from __future__ import annotations

import multiprocessing

from carsync.errors import ConfigError


def refuse_without_semaphores() -> None:
    """Raise `ConfigError` where this machine has none for the queue between processes.

    Whoever starts workers there starts them again and again, and blames memory.
    """
    try:
        multiprocessing.get_context("spawn").Lock()
    except (OSError, ImportError) as exc:
        raise ConfigError(
            "processes cannot share semaphores on this machine",
            detail=f"sem_open(3), which needs /dev/shm: {exc}",
            hint="mount a tmpfs at /dev/shm that this user may write (Docker: --shm-size=64m), or "
            "free space in it; see `carsync check`",
        ) from exc
