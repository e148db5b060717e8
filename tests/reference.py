"""Writes the parts of `docs/reference` that are made from the code: `python -m tests.reference`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from carsync.exposition import METRICS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/metrics.md"
RULES = ROOT / "config/prometheus/carsync.rules.yaml"

_MADE = re.compile(r"(<!-- made .*? -->\n).*?(<!-- end -->)", re.DOTALL)


def metrics_page(text: str) -> str:
    """Return the page `text` with its two tables made anew."""
    tables = iter([_metrics_table(), _rules_table()])
    return _MADE.sub(lambda part: f"{part[1]}\n{next(tables)}\n{part[2]}", text)


def alert_rules() -> list[dict[str, Any]]:
    """Return the shipped alert rules."""
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def _metrics_table() -> str:
    lines = ["| metric | type | label | meaning |", "|---|---|---|---|"]
    lines += [
        f"| `{m.name}` | {m.kind} | {f'`{m.label}`' if m.label else ''} | {m.help} |"
        for m in METRICS
    ]
    return "\n".join(lines) + "\n"


def _rules_table() -> str:
    lines = ["| alert | fires where | severity |", "|---|---|---|"]
    for rule in alert_rules():
        expression = " ".join(rule["expr"].split()).replace("|", "\\|")
        lasting = f" for {rule['for']}" if "for" in rule else ""
        severity = rule["labels"]["severity"]
        lines.append(f"| `{rule['alert']}` | `{expression}`{lasting} | {severity} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(metrics_page(PAGE.read_text("utf-8")), "utf-8")
