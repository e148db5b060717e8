"""`carsync sync`: one run."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from carsync import logging_setup, stdio
from carsync.cli import console
from carsync.cli.options import ConfigSource, checkpoint_path, config_options, read_duration
from carsync.config.sections import Config
from carsync.model import Mode, RunOptions
from carsync.reporting.answers.encoding import encode
from carsync.reporting.answers.runs import tell_summary
from carsync.reporting.live.progress import choose_progress
from carsync.reporting.live.terminal import wants_color
from carsync.reporting.notify.notifier import Notifier
from carsync.reporting.notify.pings import Pings
from carsync.reporting.notify.systemd import service_manager
from carsync.reporting.views.summary import render_summary
from carsync.run.listener import Listeners, RunListener
from carsync.run.report import RunReport
from carsync.run.signals import StopSignal
from carsync.run.sync import sync as run_sync

log = logging.getLogger(__name__)


@click.command()
@config_options
@click.option(
    "--mode",
    type=click.Choice(["full", "incremental"]),
    help="Read the whole feed, or only what changed since the last run (api.window).",
)
@click.option(
    "--or-full",
    is_flag=True,
    help="Read the whole feed where an incremental run is not possible.",
)
@click.option("--fresh", is_flag=True, help="Discard an unfinished run instead of resuming it.")
@click.option(
    "--adopt-source",
    is_flag=True,
    help="Let this feed take over the cars that another feed wrote under sync.source.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Read the feed, merge, show the changes, and roll them back.",
)
@click.option(
    "--max-pages",
    type=click.IntRange(min=1),
    metavar="N",
    help="Read only the first N pages; insert and update, deactivate no car (exit 5).",
)
@click.option(
    "--wait",
    "wait_s",
    callback=read_duration,
    default="0",
    metavar="DURATION",
    help="Wait for another run of this table to end, at most so long (30m, 2h); 0: exit with 75.",
)
@click.option("--plain", is_flag=True, help="Show log lines instead of the live view.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.pass_context
def sync(
    ctx: click.Context,
    source: ConfigSource,
    mode: Mode | None,
    or_full: bool,
    fresh: bool,
    adopt_source: bool,
    dry_run: bool,
    max_pages: int | None,
    wait_s: float,
    plain: bool,
    as_json: bool,
) -> None:
    """Bring the table in step with the feed.

    Reads every page at the speed that the API allows and stages the rows. Then one
    transaction inserts new cars, updates changed cars, reactivates cars that reappeared
    and deactivates cars that are proved gone. An unfinished run younger than
    `checkpoint.max_age_h` is resumed. The first Ctrl-C stops the run cleanly, the second
    at once.

    With --mode incremental only the cars are read that the API lists as changed since the last
    run (`api.window`): they are inserted, updated and reactivated. No car is deactivated because
    it is not among them. Where the last run is too long ago the exit code is 2, and nothing is
    read; with --or-full the whole feed is.

    --dry-run rolls everything back. Its counts and its exit code are those of the next
    real run, unless the feed changes. An unfinished run keeps its pages. Only the server's
    statistics change (n_tup_ins and others also count rows that are rolled back). The
    tables must exist: see `carsync migrate`.

    A feed whose address, path or parameters are not those of the last run is another one:
    its cars would replace those of the first. It needs a `sync.source` of its own; where it
    is the same feed at a new address, say so once with --adopt-source.

    Where another run of the table is going on, the exit code is 75 at once. With --wait this
    run begins when that one has ended, and says meanwhile how far it is.

    With --max-pages the run is never complete: the exit code is 5, and no later run
    resumes it.

    \b
    Examples:
      API_BASE_URL=… API_KEY=… DATABASE_URL=… carsync sync
      carsync sync --config prod.yaml
      carsync sync --config prod.yaml --mode incremental --or-full
      carsync sync --config prod.yaml --dry-run
      carsync sync --config prod.yaml --max-pages 5
      carsync sync --config prod.yaml --set limits.requests_per_second=5 --fresh

    \b
    Exit codes: 0 complete · 1 bug · 2 configuration · 3 API · 4 database · 5 partial,
    cars of what failed stay · 6 deactivations held · 7 acceptance check failed · 8 workers
    kept dying · 75 locked · 130/143 stopped by SIGINT/SIGTERM
    """
    config = source.load_with_database()
    config.require_api()
    path = checkpoint_path(config)
    mode = mode or config.sync.mode
    options = RunOptions(fresh, adopt_source, dry_run, max_pages, mode, or_full, wait_s)
    stop = StopSignal()
    stop.install()
    notifier = Notifier(config, path, stop)
    pings = Pings(config, stop, is_whole=options.scope == "whole", mode=mode)
    quiet = not log.isEnabledFor(logging.INFO)  # --quiet silences the live view too
    try:
        with _listeners(config, path, stop, options, plain=plain or quiet) as others:
            report = run_sync(config, path, Listeners([others, pings]), stop, options)
    except Exception as exc:
        if options.scope == "whole":
            notifier.failed(exc)
        pings.failed(exc)
        raise
    _tell_end(report, as_json=as_json)
    notifier.ended(report)
    pings.finish(report)
    ctx.exit(int(report.exit_code))


def _listeners(
    config: Config, checkpoint_file: Path, stop: StopSignal, options: RunOptions, *, plain: bool
) -> Listeners:
    """Return all who listen to the run: the service manager, the terminal or log, the metrics file.

    A dry run writes no file of metrics, which would show its success as that of a real run.
    """
    found: list[RunListener] = [
        *service_manager(os.environ, lambda: stop.requested),
        choose_progress(sys.stderr, os.environ, as_json=logging_setup.is_json(), plain=plain),
    ]
    if config.metrics.textfile is not None and not options.dry_run:
        # By name, as most configurations do without it.
        module = importlib.import_module("carsync.reporting.notify.textfile_collector")
        found.append(module.TextFile(config, checkpoint_file))
    return Listeners(found)


def _tell_end(report: RunReport, *, as_json: bool) -> None:
    """Print how the run ended, as JSON or as a summary."""
    if as_json:
        _print(partial(console.show_json, encode(tell_summary(report))))
    elif report.run_id is not None:
        color = wants_color(sys.stdout, os.environ)
        _print(partial(console.show, render_summary(report, color=color)))
    elif not logging_setup.is_json():  # a run that never began: the log has said why, as JSON
        console.tell_error(report.problem, report.detail, report.hint, exit_code=report.exit_code)


def _print(show: Callable[[], None]) -> None:
    """Print the end; where it cannot be written, the run has ended as it has all the same."""
    try:
        show()
    except OSError as exc:
        stdio.drop_output()
        console.warn(f"the summary could not be written: {exc.strerror or exc}")
