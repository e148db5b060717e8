"""The installed command on a terminal: the live view, and who watches the run from elsewhere."""

from __future__ import annotations

import json
import re
import sys

from tests.support.site import CARSYNC, SimulatedSite

ON_A_TERMINAL = [
    *(sys.executable, "-c", "import os, pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"),
    *("sh", "-c", 'stty cols 60 rows 20; exec "$@"', "sh", *CARSYNC),
]
"""The command on a terminal of 60 columns, whose output goes to where the test reads."""


def test_a_run_is_seen_on_its_terminal_and_watched_from_another(site: SimulatedSite) -> None:
    site.variables |= {"TERM": "xterm-256color", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    site.api.hold(after=10)
    running = site.start("sync", program=ON_A_TERMINAL)
    site.await_checkpoint(lambda state: state.pages_done == 10, "ten pages in it")
    lines = site.start("status", "--watch", "0.2")
    data = site.start("status", "--watch", "0.2", "--json")
    assert data.process.stdout is not None
    assert lines.process.stdout is not None
    first = json.loads(data.process.stdout.readline())
    seen = lines.process.stdout.readline()
    site.api.release()
    view, told, rest = running.end(), lines.end(), data.end()
    site.await_no_process()

    assert (view.exit_code, told.exit_code, rest.exit_code) == (0, 0, 0), view
    assert "10 of 30 pages (33.3 %)" in view.out
    frames = re.findall(r"\x1b\[\d+A.*?\x1b\[J", view.out, re.DOTALL)
    assert len(frames) > 3, "it is redrawn in its place"
    shown = [re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", frame) for frame in frames]
    assert max(len(line.strip("\r")) for frame in shown for line in frame.split("\n")) <= 60
    assert any("merging" in frame for frame in shown)
    assert re.findall(r"\x1b\[[0-9;]*3\dm", view.out) == [], "NO_COLOR"
    assert "\x1b[1m" in view.out
    assert view.out.index("\x1b[?25l") < view.out.rindex("\x1b[?25h") < view.out.index("outcome")
    assert "complete (exit 0)" in view.out.partition("outcome")[2]

    assert (first["state"], first["pages_done"]) == ("running", 10)
    assert json.loads(rest.out.splitlines()[-1])["state"] == "complete"
    assert "fetching · pages 10 of 30 (33.3 %)" in seen
    assert "last completed run" in told.out
