"""Who is told how a run goes, as options and configuration say.

What only some configurations need is imported here by name, when it is needed.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from carsync import logs
from carsync.config import Config
from carsync.eventlog import EventLog
from carsync.progress import choose_progress
from carsync.watching import Watcher, Watchers


def listeners(config: Config, checkpoint_file: Path, *, plain: bool) -> Watchers:
    """Return all who are told of one run: terminal or log, and the file of metrics if any."""
    told: list[Watcher] = [
        EventLog() if logs.is_json() else choose_progress(sys.stderr, os.environ, plain=plain)
    ]
    if config.metrics.textfile is not None:
        module = importlib.import_module("carsync.textfile")
        told.append(module.TextFile(config, checkpoint_file))
    return Watchers(told)
