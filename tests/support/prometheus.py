"""Reading Prometheus' text format with Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

SERIES = {"source": "external", "target": "public.cars"}


def read(text: bytes) -> dict[str, float]:
    """Read with Prometheus' own parser: `name` or `name[value of its label]` → value.

    Of a full run the mode is left out.
    """
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            own = {name: v for name, v in sample.labels.items() if name not in SERIES}
            assert {**own, **SERIES} == sample.labels
            own = {name: v for name, v in own.items() if (name, v) != ("mode", "full")}
            found[sample.name + "".join(f"[{value}]" for value in own.values())] = sample.value
    return found
