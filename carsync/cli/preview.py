"""`carsync preview`: what the mapping makes of real records, before any database is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import msgspec

from carsync import formatting
from carsync.cli import console
from carsync.cli.options import ConfigSource, config_options, json_always_option
from carsync.config.sections import Config
from carsync.errors import ApiError, ConfigError, PageError
from carsync.mapping.mapper import Mapper, PageContent
from carsync.source.pagination.base import load_paginator
from carsync.source.pagination.lists import FeedLists
from carsync.source.single_page import Pacer, ask_page


@click.command()
@config_options
@click.option("--page", default=None, type=int, help="The page to fetch.  [default: the first]")
@click.option(
    "--from-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Map the records of FILE (a JSON array) instead of a page of the feed.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), help="Show at most this many rows, and rejects."
)
@json_always_option
def preview(source: ConfigSource, page: int | None, file: Path | None, limit: int | None) -> None:
    """Show the rows that the mapping makes, as JSON lines; rejects go to standard error.

    Sends one request to the API, or none with --from-file. Uses no database.

    \b
    Examples:
      carsync preview --config prod.yaml --page 3 --limit 5
      carsync preview --from-file records.json | jq .data_hash
    """
    config = source.load()
    mapper = Mapper.load(config)
    content = _map_page(config, mapper, page) if file is None else _map_file(mapper, file)
    _print_rows(config, mapper, content, limit)
    for reject in content.rejects[:limit]:
        who = f"id {reject.record_id}" if reject.record_id is not None else "no id"
        column = f", column {reject.column}" if reject.column else ""
        console.say(f"rejected record {reject.ordinal} ({who}{column}): {reject.reason}", err=True)
    if limit is not None and len(content.rejects) > limit:
        more = formatting.plural(len(content.rejects) - limit, "more reject")
        console.say(f"… and {more} (--limit)", err=True)
    shown = "" if limit is None else f" ({min(limit, len(content.rows)):,} shown)"
    mapped, rejected = f"{len(content.rows):,} mapped{shown}", f"{len(content.rejects):,} rejected"
    console.say(f"{mapped}, {rejected}", err=True)
    if names := FeedLists(config.api).names:
        lists = formatting.plural(len(names), "list")
        console.say(f"the list is {names[0]}, the first of {lists} (api.lists)", err=True)


def _map_file(mapper: Mapper, file: Path) -> PageContent:
    try:
        return mapper.map_array(file.read_bytes())
    except OSError as exc:
        raise ConfigError(f"{file} cannot be read", detail=exc.strerror or "") from None
    except PageError as exc:
        problem, hint = f"{file} is not a JSON array of records", "it looks like [{…}, {…}]"
        raise ConfigError(problem, detail=exc.problem, hint=hint) from None


def _map_page(config: Config, mapper: Mapper, page: int | None) -> PageContent:
    config.require_api()
    number = load_paginator(config.api).first if page is None else page
    try:
        return mapper.map_page(ask_page(config.api, number, Pacer(config.limits)).body)
    except PageError as exc:
        problem = f"cannot show page {number}: {exc.problem}"
        raise ApiError(problem, detail=exc.detail, hint=exc.hint) from None


def _print_rows(config: Config, mapper: Mapper, content: PageContent, limit: int | None) -> None:
    fixed: dict[str, Any] = {column.name: value for column, value in mapper.constants}
    fixed["source_api"] = config.sync.source
    for row in content.rows[:limit]:
        shown: dict[str, Any] = {}
        for column, value in zip(mapper.columns, row[1:], strict=True):
            is_json = column.type == "jsonb" and value is not None
            shown[column.name] = json.loads(value) if is_json else value
        data_hash = shown.pop("data_hash")
        console.show_json(msgspec.json.encode({**shown, **fixed, "data_hash": data_hash}))
