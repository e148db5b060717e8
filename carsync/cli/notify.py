"""`carsync notify`: post a notice to the configured web hook, from a timer or another unit."""

from __future__ import annotations

import logging
import os
from typing import Any

import click

from carsync.cli.options import ConfigSource, config_options, find_checkpoint_path
from carsync.config.dsn import place_of
from carsync.config.sections import Config
from carsync.errors import ConfigError
from carsync.model import Mode
from carsync.reporting.notify.notifications import Notice, Severity, about_unit, headline, was_sent
from carsync.reporting.notify.notifier import here_and_now, post, read_sent_notice
from carsync.reporting.notify.pings import ping
from carsync.state.checkpoint import CheckpointState, load_or_none
from carsync.state.freshness import staleness

INCREMENTAL_UNITS = "carsync-incremental"
"""The units of incremental runs begin so."""

log = logging.getLogger(__name__)


@click.command()
@config_options
@click.option("--test", "is_test", is_flag=True, help="Send a test notification.")
@click.option(
    "--if-stale",
    is_flag=True,
    help="Send only if the last success is older than notify.stale_after_h, or there is none, or "
    "if incremental runs are in use and the newest data are older than "
    "notify.stale_incremental_after_h.",
)
@click.option("--unit", metavar="NAME", help="Report that this systemd unit failed (OnFailure=).")
@click.option("--message", metavar="TEXT", default="", help="With --unit: send this text instead.")
def notify(
    source: ConfigSource, is_test: bool, if_stale: bool, unit: str | None, message: str
) -> None:
    """Send a notification to the web hook of notify.url, or a ping to notify.ping_url.

    A sync itself sends a notification when it ends (notify.events). Use this command for
    what a sync cannot send: there was no success for a long time (--if-stale, from a
    timer), or systemd ended the sync or could not start it (--unit, from its OnFailure=
    unit). --unit sends nothing if the run has just reported the same end itself. With
    notify.ping_url, --test pings success and --unit a failure. Exit codes: 0 sent, or
    nothing to send; 3 the hook did not accept it.

    \b
    Examples:
      carsync notify --config prod.yaml --test
      carsync notify --config prod.yaml --if-stale
      carsync notify --config prod.yaml --unit carsync.service
    """
    if (is_test, if_stale, unit is not None).count(True) != 1:
        raise click.UsageError("Give one of --test, --if-stale and --unit.")
    if message and unit is None:
        raise click.UsageError("--message needs --unit.")
    config = source.load()
    has_ping = any(config.notify.ping_url_of(mode) is not None for mode in _pinged(unit))
    if config.notify.url is None and (if_stale or not has_ping):
        raise ConfigError(
            "notify.url is not set"
            if if_stale
            else "neither notify.url nor notify.ping_url is set",
            hint="set CARSYNC_NOTIFY_URL, or `notify: {url: …}` in the file",
        )
    notice = _notice(config, unit, message, is_test=is_test)
    if notice is None:
        log.info("no notification sent: there is nothing to report")
        return
    for mode in _pinged(unit):
        if config.notify.ping_url_of(mode) is not None and not if_stale:
            words = notice.problem or headline(notice)
            ping(config, "success" if is_test else "fail", words, mode=mode)
    if config.notify.url is not None:
        post(config, notice)


def _notice(config: Config, unit: str | None, message: str, *, is_test: bool) -> Notice | None:
    """Return what is to be posted, None for nothing."""
    path = find_checkpoint_path(config)
    state = load_or_none(path, place_of(config)) if path is not None else None
    now, host = here_and_now(state)
    origin = {"source": config.sync.source, "target": str(config.target)}
    common: dict[str, Any] = {**origin, "host": host, "sent_at": now}
    if is_test:
        return Notice(event="test", severity="info", **common)
    if unit is not None:
        sent = read_sent_notice(path) if path is not None else None
        if sent is not None and was_sent(os.environ, sent.exit_code, sent.at, now):
            return None
        # An incremental run has judged itself whether its end is worth a notice.
        incremental = state.standing_of("incremental") if state else None
        if incremental is not None and was_sent(
            os.environ, incremental.exit_code, incremental.updated_at, now
        ):
            return None
        return about_unit(unit, message, os.environ, state, **common)
    stale = staleness(state, now, config.notify.stale_after_s("full"))
    severity: Severity = "critical"
    if stale is None and _runs_incremental(config, state):
        severity = "error"
        after_s = config.notify.stale_after_s("incremental")
        stale = staleness(state, now, after_s, "incremental")
    if stale is None:
        return None
    if state is not None:
        common |= {"run_id": state.run_id, "exit_code": state.exit_code, "problem": state.problem}
        common |= {"hint": state.hint, "last_success_at": state.last_success_at}
    step = "look at `carsync status` and at the timer: `systemctl list-timers 'carsync*'`"
    return Notice(event="stale", severity=severity, stale=stale, next_step=step, **common)


def _runs_incremental(config: Config, state: CheckpointState | None) -> bool:
    """Say whether incremental runs are in use: one has succeeded, and the key is still set."""
    incremental = state.incremental if state else None
    is_known = incremental is not None and incremental.last_success_at is not None
    return is_known and config.api.window.param is not None


def _pinged(unit: str | None) -> tuple[Mode, ...]:
    """Return the modes whose addresses are pinged: a unit's own, of a test both."""
    if unit is None:
        return ("full", "incremental")
    return ("incremental",) if unit.startswith(INCREMENTAL_UNITS) else ("full",)
