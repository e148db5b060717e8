"""The reference's Markdown pages: commands, configuration, exit codes, metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from carsync import errors
from carsync.cli.reference.commandtree import Entry
from carsync.cli.reference.configtable import Part
from carsync.config.environment import FURTHER_VARIABLES, VARIABLES
from carsync.errors import CarsyncError
from carsync.exit_codes import ADVICE
from carsync.reporting.notify.prometheus import METRICS

MADE = "<!-- Made from the code by `python -m carsync.cli.reference`; do not edit. -->"
_TABLE = re.compile(r"(<!-- made .*? -->\n).*?(<!-- end -->)", re.DOTALL)


def commands_page(tree: Sequence[Entry]) -> str:
    """Return the page of all commands, the group first."""
    lines = ["# Commands", "", MADE, ""]
    lines += [f"- [`{entry.name}`](#{_anchor(entry.name)})" for entry in tree]
    for entry in tree:
        lines += ["", f"## {entry.name}", "", *_fence("sh", [f"{entry.name} {entry.usage}"])]
        for block in entry.blocks:
            lines += ["", block.text, *(["", *_fence("sh", block.code)] if block.code else [])]
        rows = [(f"`{names}`", words) for names, words in entry.options]
        lines += ["", *table(("option", "what it does"), rows)]
    lines += [
        "",
        "Each command ends with one of the [exit codes](exit-codes.md). The keys for `--set` are "
        "the keys of the [configuration](configuration.md).",
    ]
    return as_page(lines)


def exit_codes_page() -> str:
    """Return the page of the exit codes, and of the errors that lead to them."""
    rows = [
        (str(code.value), f"`{code.name}`", advice.meaning, advice.at_large or advice.next_step)
        for code, advice in ADVICE.items()
    ]
    lines = ["# Exit codes", "", MADE, ""]
    lines += [*table(("code", "name", "meaning", "what to do"), rows), "", "## Errors", ""]
    words = (
        "Every error has a problem, and usually a detail and a hint. Its class decides the exit "
        "code."
    )
    lines += [words, ""]
    classes = []
    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, CarsyncError) and cls is not CarsyncError:
            sentence = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
            classes.append((f"`{cls.__name__}`", str(cls.exit_code.value), sentence))
    return as_page([*lines, *table(("class", "code", "what went wrong"), classes)])


def configuration_page(parts: Sequence[Part]) -> str:
    """Return the page of all keys, and of the environment variables."""
    variable = {path: name for name, path in VARIABLES.items()}
    lines = ["# Configuration", "", MADE, "", *_INTRODUCTION, ""]
    lines += [f"- [`{part.path}`](#{_anchor(part.path)})" for part in parts]
    lines += ["- [environment variables](#environment-variables)"]
    for part in parts:
        lines += ["", f"## {part.path}", "", part.about, ""]
        rows: list[tuple[str, ...]] = []
        for key in part.keys:
            name = key.path.removeprefix(f"{part.path}.")
            told = key.text
            if key.path in variable and f"({variable[key.path]})" not in told:
                told += f" ({variable[key.path]})"
            rows.append((f"`{name}`", key.kind, f"`{key.default}`", told))
        if not any(told for *_, told in rows):
            rows = [row[:3] for row in rows]
        lines += table(("key", "value", "default", "what it is")[: len(rows[0])], rows)
        for key in part.keys:
            if key.examples:
                lines += ["", f"For `{key.path}`, e.g.:", "", *_fence("yaml", key.examples)]
    lines += ["", "## Environment variables", "", "They win over the file; `--set` wins over them."]
    variables = [(f"`{name}`", f"sets `{path}`") for name, path in VARIABLES.items()]
    variables += [(f"`{name}`", words) for name, words in FURTHER_VARIABLES.items()]
    return as_page([*lines, "", *table(("variable", "what it does"), variables)])


def metrics_page(text: str, rules: Iterable[dict[str, Any]]) -> str:
    """Return the page `text` with its two tables made anew: metrics, and the alert `rules`."""
    metrics = [
        (f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), m.help)
        for m in METRICS
    ]
    alerts = []
    for rule in rules:
        lasting = f" for {rule['for']}" if "for" in rule else ""
        fires = f"`{' '.join(rule['expr'].split())}`{lasting}"
        alerts.append((f"`{rule['alert']}`", fires, rule["labels"]["severity"]))
    metrics_table = table(("metric", "type", "label", "meaning"), metrics)
    tables = iter((metrics_table, table(("alert", "fires where", "severity"), alerts)))
    return _TABLE.sub(lambda part: f"{part[1]}\n{as_page(next(tables))}\n{part[2]}", text)


_INTRODUCTION = (
    "One YAML file, given with `--config`. Any value may contain `${NAME}` (must be set) or",
    "`${NAME:-default}` from the environment. An option (`--set KEY=VALUE`) wins over an",
    "environment variable, a variable wins over the file, and the file wins over the default.",
    "Unknown keys are refused. All keys except `api.base_url` and `database.dsn` have working",
    "defaults; `_s` means seconds.",
    "`carsync config show` prints the effective configuration, `carsync config schema` a JSON",
    "Schema for editors.",
)


def _fence(language: str, lines: Iterable[str]) -> list[str]:
    return [f"```{language}", *lines, "```"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Give the lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _anchor(heading: str) -> str:
    """Return the anchor by which GitHub links to a heading.

    >>> _anchor("carsync rejects list"), _anchor("api.auth")
    ('carsync-rejects-list', 'apiauth')
    """
    kept = (char for char in heading.lower() if char.isalnum() or char in " -_")
    return "".join(kept).replace(" ", "-")


def as_page(lines: Iterable[str]) -> str:
    """Return lines as the text of a file."""
    return "\n".join(lines) + "\n"
