"""Who listens to a run, as options and configuration say.

What only some configurations need is imported here by name, when it is needed.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from carsync import logging_setup
from carsync.config.sections import Config
from carsync.reporting.live.progress import choose_progress
from carsync.reporting.notify.systemd import service_manager
from carsync.run.listener import Listeners, RunListener
from carsync.run.signals import StopSignal


def listeners(
    config: Config, checkpoint_file: Path, stop: StopSignal, *, plain: bool, dry_run: bool = False
) -> Listeners:
    """Return all who listen to one run.

    These are the service manager, if any; the terminal or the log; the file of metrics, if any,
    but not of a `dry_run`, whose success it would show as that of a real run.
    """
    found: list[RunListener] = [
        *service_manager(os.environ, lambda: stop.requested),
        choose_progress(sys.stderr, os.environ, as_json=logging_setup.is_json(), plain=plain),
    ]
    if config.metrics.textfile is not None and not dry_run:
        module = importlib.import_module("carsync.reporting.notify.textfile_collector")
        found.append(module.TextFile(config, checkpoint_file))
    return Listeners(found)
