"""`python -m tests.servers.compare_dlt`: what dlt's automatic paginator makes of the same feeds."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from tests.servers import data
from tests.servers.catalogue import FEEDS, Feed, serving
from tests.servers.toolbox import APPS, Toolbox, environment

_DEADLINE_S = 120.0


def main() -> None:
    """Print a line for each feed: exact, short, repeated or failed."""
    with tempfile.TemporaryDirectory() as tools:
        toolbox = Toolbox(Path(tools))
        for name, feed in FEEDS.items():
            print(f"{name:<20} {_read(feed, toolbox)}", flush=True)


def _read(feed: Feed, toolbox: Toolbox) -> str:
    with tempfile.TemporaryDirectory() as folder, serving(feed, toolbox, Path(folder)) as url:
        headers = {"Authorization": f"Token {feed.key}"} if feed.key else {}
        command = [str(toolbox.python("dlt")), str(APPS / "read_with_dlt.py"), url, feed.path]
        try:
            ended = subprocess.run(
                [*command, json.dumps(headers)],
                cwd=folder,
                env=environment(Path(folder)),
                capture_output=True,
                text=True,
                timeout=_DEADLINE_S,
            )
        except subprocess.TimeoutExpired:
            return f"no end within {_DEADLINE_S:g} s"
        if ended.returncode:
            return f"failed: {ended.stderr.strip().splitlines()[-1][:150]}"
        ids = json.loads(ended.stdout.splitlines()[-1])
        held, different = len(ids), len(set(ids))
        if different == held == data.CARS:
            return "exact"
        repeated = f", {held - different:,} of them twice" if held > different else ""
        return f"{'short' if different < data.CARS else 'repeated'}: {held:,} records{repeated}"


if __name__ == "__main__":
    main()
