"""What a run costs the machine that carsync runs on: CPU and memory of all of its processes."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import msgspec
import psutil

SAMPLE_EVERY_S = 1.0


class Sample(msgspec.Struct):
    """carsync's processes at one moment, all together; PSS counts shared pages once."""

    at_s: float
    rss_mb: float
    pss_mb: float
    cpu_s: float
    rows: int


def watch_client(pid: int, state: Path, samples: list[Sample], end: threading.Event) -> None:
    """Sample a process and all below it until the `end`; its checkpoint lies in `state`."""
    began_s = time.monotonic()
    while not end.wait(SAMPLE_EVERY_S):
        rss = pss = 0
        cpu_s = 0.0
        try:
            main = psutil.Process(pid)
            for process in (main, *main.children(recursive=True)):
                memory, times = process.memory_full_info(), process.cpu_times()
                rss, pss = rss + memory.rss, pss + memory.pss
                cpu_s += times.user + times.system
            (file,) = state.glob("*.json")
            rows = json.loads(file.read_bytes())["body"]["rows_staged"]
        except (psutil.Error, ValueError, OSError):  # something has ended in between, or not begun
            continue
        samples.append(Sample(time.monotonic() - began_s, rss / 1e6, pss / 1e6, cpu_s, rows))
