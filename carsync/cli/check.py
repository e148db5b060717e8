"""`carsync check`: the doctor."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from carsync.cli import console
from carsync.cli.options import ConfigSource, config_options, find_checkpoint_path
from carsync.config.environment import environment_layer
from carsync.config.keys import secrets_of
from carsync.config.sections import Config
from carsync.doctor import examine, render
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import verdict
from carsync.errors import ConfigError
from carsync.reporting.answers.encoding import encode_indented
from carsync.reporting.live.terminal import wants_color

_OTHERS_MAY_READ = 0o044


@click.command()
@config_options
@click.option("--strict", is_flag=True, help="Count a warning as a problem.")
@click.option("--problems", is_flag=True, help="Show only what is wrong: problems and warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
@click.pass_context
def check(
    ctx: click.Context, source: ConfigSource, strict: bool, problems: bool, as_json: bool
) -> None:
    """Examine everything that a run needs, and say how to fix each problem.

    Examines the configuration, this machine, the API, the database and its tables. The
    other checks run even if one fails. Changes nothing: it writes a file beside the
    checkpoint and removes it at once, and its database session is read-only. If there is
    a pooler, it opens as many connections as a run needs, for a moment.

    At most seven requests go to the API, at the configured rate: the first page and the one
    after it, pages behind the end and before the first one, a car by its id, and an id that
    cannot exist; one more for an access token, where api.auth wants one. With engine.type
    dask each `carsync worker` tries the API and the database too, with one request each.

    \b
    Examples:
      carsync check --config prod.yaml
      carsync check --config prod.yaml --problems
      carsync check --config prod.yaml --json | jq '.groups[].checks[] | select(.fix)'

    \b
    Exit codes: 0 no problem (with --strict, no warning either) · else the code of the
    first problem: 2 configuration or this machine · 3 API · 4 database · 8 cluster
    """
    try:
        config = source.load()
        checkpoint = find_checkpoint_path(config)
    except ConfigError as exc:
        groups = examine.nothing_but(exc)
    else:
        groups = examine.examine(config, _origin(config, source.path), checkpoint, _tell)
        _tell("")
    code = verdict(groups, strict=strict)
    if as_json:
        console.show_json(encode_indented(render.answer(groups, code, only_wrong=problems)))
    else:
        color = wants_color(sys.stdout, os.environ)
        console.show(render.render(groups, code, color=color, only_wrong=problems))
    ctx.exit(int(code))


def _tell(title: str) -> None:
    """Show on a terminal, on one line, what is being examined; an empty title clears the line."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        console.show_passing(f"checking {title} …" if title else "")


def _origin(config: Config, path: Path | None) -> Origin:
    """Return where the configuration comes from, and whether everybody can read its secrets."""
    variables = tuple(dict.fromkeys(name for name, _, _ in environment_layer(os.environ)))
    if path is None:
        return Origin(None, variables)
    text = path.read_text(encoding="utf-8")
    told = any(secret and secret in text for secret in secrets_of(config))
    exposed = told and bool(path.stat().st_mode & _OTHERS_MAY_READ)
    return Origin(str(path), variables, exposed)
