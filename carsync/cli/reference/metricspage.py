"""The two tables of the page of metrics: what is exposed, and the alert rules shipped with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from carsync.reporting.notify.prometheus import METRICS

_MADE = re.compile(r"(<!-- made .*? -->\n).*?(<!-- end -->)", re.DOTALL)


def metrics_page(text: str, rules: Sequence[dict[str, Any]]) -> str:
    """Return the page `text` with both tables made anew; `rules` are the shipped alert rules."""
    tables = iter([_metrics_table(), _rules_table(rules)])
    return _MADE.sub(lambda part: f"{part[1]}\n{next(tables)}\n{part[2]}", text)


def _metrics_table() -> str:
    lines = ["| metric | type | label | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{m.name}` | {m.kind} | {f'`{m.label}`' if m.label else ''} | {m.help} |"
        for m in METRICS
    ]
    return "\n".join(lines) + "\n"


def _rules_table(rules: Sequence[dict[str, Any]]) -> str:
    lines = ["| alert | fires where | severity |", "|---|---|---|"]
    for rule in rules:
        expression = " ".join(rule["expr"].split()).replace("|", "\\|")
        lasting = f" for {rule['for']}" if "for" in rule else ""
        severity = rule["labels"]["severity"]
        lines.append(f"| `{rule['alert']}` | `{expression}`{lasting} | {severity} |")
    return "\n".join(lines) + "\n"
