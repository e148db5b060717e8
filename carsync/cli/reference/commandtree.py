"""The commands' own help, taken apart: paragraphs, examples, options."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator

import click
from msgspec import Struct


class Block(Struct, frozen=True):
    """A paragraph `text`; with `code`, the heading of lines to type."""

    text: str
    code: tuple[str, ...] = ()


class Entry(Struct, frozen=True):
    """One command: its full name, the rest of its usage, its help and its options."""

    name: str
    usage: str
    blocks: tuple[Block, ...]
    options: tuple[tuple[str, str], ...]


def entries(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[Entry]:
    """Give `command`, called `name` in the group of `parent`, then all of its sub-commands."""
    ctx = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    records = [param.get_help_record(ctx) for param in command.get_params(ctx)]
    yield Entry(
        name=ctx.command_path,
        usage=" ".join(command.collect_usage_pieces(ctx)),
        blocks=tuple(split_help(command.help or "")),
        options=tuple((names, " ".join(words.split())) for names, words in filter(None, records)),
    )
    if isinstance(command, click.Group):
        for below in command.list_commands(ctx):
            found = command.get_command(ctx, below)
            assert found is not None
            yield from entries(found, below, ctx)


def split_help(text: str) -> list[Block]:
    r"""Take a help text apart; a paragraph that begins with `\b` keeps its lines (click's mark).

    >>> split_help("Do it.\n\n\b\nExample:\n  carsync x")
    [Block(text='Do it.', code=()), Block(text='Example:', code=('carsync x',))]
    """
    blocks = []
    for paragraph in inspect.cleandoc(text.partition("\f")[0]).split("\n\n"):
        first, *rest = paragraph.split("\n")
        if first.strip() != "\b":
            blocks.append(Block(" ".join(paragraph.split())))
        elif rest[0].endswith(":") and all(line.startswith(" ") for line in rest[1:]):
            blocks.append(Block(rest[0], tuple(textwrap.dedent("\n".join(rest[1:])).split("\n"))))
        else:
            blocks.append(Block(" ".join(" ".join(rest).split())))
    return blocks
