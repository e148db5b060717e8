"""Standard output and error that are closed or full: a command ends as it would have ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

SPAWN = """
import multiprocessing, sys, time
from carsync import stdio
stdio.secure()
for number in range(3000):
    print("a line of the log", file=sys.stderr)
child = multiprocessing.get_context("spawn").Process(target=time.time)
child.start()
child.join()
print(child.exitcode, *(stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)))
with open("/dev/null") as file:
    assert file.fileno() > 2
"""


HOSTILE = "Kia\x1b[2J\x1b]0;x\x07\x9b1A\r\u202e"
PRINTS = f"""
import sys, traceback
from carsync import stdio
stdio.secure()
print({HOSTILE!a}, "\\x1b[32mgood\\x1b[0m")
print({HOSTILE!a}, file=sys.stderr)
stdio.draw(sys.stdout, "\\x1b[K")
raise ValueError({HOSTILE!a})
"""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii:backslashreplace"])
def test_nothing_that_a_terminal_obeys_leaves_a_process_whoever_prints(encoding: str) -> None:
    ended = shell(f'PYTHONIOENCODING={encoding} "$@"', "-c", PRINTS)
    said = "Kia [2J ]0;x  1A  "
    assert ended.stdout == f"{said} \x1b[32mgood\x1b[0m\n\x1b[K"
    assert said in ended.stderr
    assert ended.stderr.endswith(f"ValueError: {said}\n")
    assert ended.stderr.replace("\n", "").isprintable()


def shell(line: str, *program: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", line, "sh", sys.executable, *program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("lost", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_a_log_that_nobody_takes_stops_no_process(lost: str) -> None:
    ended = shell(f'"$@" {lost}', "-c", SPAWN)
    assert (ended.returncode, ended.stdout) == (0, "0 0 1 2\n")


def test_what_follows_for_ever_ends_where_nobody_can_read() -> None:
    follows = "from carsync import stdio; stdio.secure(); stdio.check_reader()"
    assert shell('"$@" >&-', "-c", follows).stderr.splitlines()[-1].startswith("BrokenPipeError")
    assert shell('"$@"', "-c", follows).returncode == 0


def test_a_command_without_output_and_log_has_its_exit_code() -> None:
    words = ("-m", "carsync", "config", "schema")
    assert shell('"$@" >&- 2>&-', *words).returncode == 0
    full = shell('"$@" >/dev/full', *words)
    said = "carsync: standard output cannot be written: No space left on device\n"
    assert (full.returncode, full.stderr) == (1, said)
