"""The manual page carsync(1), with all commands, in roff's man macros (groff_man(7))."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from carsync import __version__
from carsync.cli.reference.commandtree import Block, Entry
from carsync.config.environment import FURTHER_VARIABLES, VARIABLES
from carsync.exit_codes import ADVICE

_OPTION = re.compile(r"(--?[A-Za-z][\w-]*)")
_QUOTED = re.compile(r"`([^`]+)`")


def man_page(tree: Sequence[Entry]) -> str:
    """Return the page as roff source; the group comes first in `tree`."""
    group, *commands = tree
    summary = group.blocks[0].text.rstrip(".")
    synopsis = [
        f"\\fB{_escape(each.name)}\\fR {_escape(each.usage)}"
        for each in commands
        if " COMMAND" not in each.usage
    ]
    lines = [
        '.\\" Made from the code by `python -m carsync.cli.reference`; do not edit.',
        f'.TH CARSYNC 1 "" "carsync {__version__}" "User Commands"',
        ".SH NAME",
        f"carsync \\- {_escape(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
        "\n.br\n".join(synopsis),
        ".SH DESCRIPTION",
        *_blocks(group.blocks[1:]),
        ".SH OPTIONS",
        *_options(group.options),
        ".SH COMMANDS",
    ]
    for entry in commands:
        lines += [f'.SS "{_escape(entry.name)} {_escape(entry.usage)}"', *_blocks(entry.blocks)]
        lines += _options(entry.options)
    lines += [".SH EXIT STATUS"]
    for code, advice in ADVICE.items():
        words = f"{advice.meaning}: {advice.at_large or advice.next_step}."
        lines += [".TP", f"\\fB{code.value}\\fR", _inline(words)]
    lines += [".SH ENVIRONMENT"]
    variables = {name: f"sets `{path}`" for name, path in VARIABLES.items()}
    for name, told in (variables | FURTHER_VARIABLES).items():
        lines += [".TP", f"\\fB{_escape(name)}\\fR", _inline(f"{told[:1].upper()}{told[1:]}.")]
    lines += [".SH SEE ALSO", _inline(_SEE_ALSO)]
    return "\n".join(lines) + "\n"


_SEE_ALSO = (
    "`carsync config example` prints a configuration file that explains every key, and "
    "`carsync config schema` the JSON Schema of the file."
)


def _blocks(blocks: Iterable[Block]) -> list[str]:
    lines: list[str] = []
    for block in blocks:
        lines += [*([".PP"] if lines else []), _inline(block.text)]
        if block.code:
            lines += [".PP", ".RS 4", ".nf", *map(_guard, map(_escape, block.code)), ".fi", ".RE"]
    return lines


def _options(options: Iterable[tuple[str, str]]) -> list[str]:
    lines = []
    for names, words in options:
        bold = _OPTION.sub(lambda found: f"\\fB{_escape(found[1])}\\fR", names)
        lines += [".TP", bold, _inline(words)]
    return lines


def _inline(text: str) -> str:
    """Return a paragraph in lines of at most 80 characters, words in back-ticks bold."""
    pieces = map(_escape, _QUOTED.split(text))
    marked = "".join(f"\\fB{piece}\\fR" if n % 2 else piece for n, piece in enumerate(pieces))
    lines = textwrap.wrap(marked, 80, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(_guard, lines))


def _escape(text: str) -> str:
    r"""Return `text` as roff prints it literally, in ASCII.

    >>> print(_escape("a-b …"))
    a\-b \[u2026]
    """
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace('"', "\\(dq")
    return "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in text)


def _guard(line: str) -> str:
    """Keep a line that begins with a dot from being a command."""
    return f"\\&{line}" if line.startswith(".") else line
