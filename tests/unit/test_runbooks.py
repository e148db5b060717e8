"""The runbooks as a whole: complete, readable, and naming only commands that exist."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest

from carsync.cli.app import COMMANDS
from tests.support.folders import BIN, poison

BOOKS = sorted(path for path in BIN.glob("runbook-*") if path.suffix != ".md")
PAGES = sorted(BIN.glob("runbook-*.md"))
_IN_SCRIPTS = re.compile(
    r"^\s*(?:code=0; )?(?:\w+=\$\()?(?:cs|show|run_indented|probe \w+) (?:-q )?(?P<words>[a-z].*)$",
    re.M,
)
_ON_PAGES = re.compile(r"carsync (?:-q )?(?P<words>[a-z]+\b[^\n`;|]*)")


def _names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@cache
def _command(*names: str) -> click.Command | None:
    """Return a command or subcommand of carsync, None where there is none."""
    if names[0] not in COMMANDS:
        return None
    found: click.Command | None = getattr(
        importlib.import_module(f"carsync.cli.{names[0]}"), names[0]
    )
    for name in names[1:]:
        assert isinstance(found, click.Group)
        found = found.commands.get(name)
    return found


def _unknown(words: str) -> list[str]:
    """Return what of a command's words (after `carsync`) carsync does not know."""
    given = re.findall(r"--?[a-z][a-z-]*|[a-z][a-z-]*", words)
    names = [word for word in given if not word.startswith("-")]
    if not names or names[0] not in COMMANDS:
        return [words.split()[0]]
    command = _command(names[0])
    if isinstance(command, click.Group) and names[1:] and names[1] in command.commands:
        command = command.commands[names[1]]
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    return [word for word in given if word.startswith("--") and word not in {*known, "--help"}]


def test_every_runbook_has_its_page_and_its_line_in_the_index() -> None:
    assert _names(PAGES) == [f"{name}.md" for name in _names(BOOKS)]
    index = (BIN / "README.md").read_text(encoding="utf-8")
    assert [name for name in _names(BOOKS) if f"({name}.md)" not in index] == []


@pytest.mark.parametrize("book", BOOKS, ids=_names(BOOKS))
def test_a_runbook_explains_itself_and_refuses_what_it_does_not_know(book: Path) -> None:
    shown = subprocess.run([book, "--help"], capture_output=True, text=True, check=True).stdout
    assert f"bin/{book.name} " in shown
    for option in ("--config FILE", "--yes", f"bin/{book.name}.md"):
        assert option in shown
    text = book.read_text(encoding="utf-8")
    for option in set(re.findall(r"^\s+(--[a-z-]+)\)", text, re.M)):
        assert option in shown, "an option without help"
    refused = subprocess.run([book, "--no-such"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "hint:" in refused.stderr


@pytest.mark.parametrize("book", BOOKS, ids=_names(BOOKS))
def test_the_commands_of_a_script_exist(book: Path) -> None:
    text = book.read_text(encoding="utf-8").replace("\\\n", " ")
    used = [match["words"] for match in _IN_SCRIPTS.finditer(text)]
    assert used, "no command of carsync was found in it"
    unknown = {words: _unknown(words.partition(")")[0]) for words in used}
    assert {words: wrong for words, wrong in unknown.items() if wrong} == {}


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_the_commands_of_a_page_exist(page: Path) -> None:
    code = re.findall(r"`carsync [^`]+`|^(?:\$| +\$) .*$", page.read_text(encoding="utf-8"), re.M)
    used = [match["words"] for text in code for match in _ON_PAGES.finditer(text)]
    unknown = {words: _unknown(words) for words in used}
    assert {words: wrong for words, wrong in unknown.items() if wrong} == {}


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing() -> None:
    files = [*BOOKS, BIN / "runbook.sh"]
    done = subprocess.run(
        ["shellcheck", "-x", "-P", "SCRIPTDIR", *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


_PAST = """#!/bin/sh
case "$1 $2" in
"runs --limit") cat <<'END'
{"runs": [
  {"run_id": 9, "merged_at": "2026-11-24T02:00:00Z", "deactivated": 3, "approval": null},
  {"run_id": 8, "merged_at": "2026-11-22T02:00:00Z", "deactivated": 40,
   "approval": {"at": "2026-11-25T08:00:00+00:00", "by": "ops", "deactivated": 40}},
  {"run_id": 7, "merged_at": null, "deactivated": null, "approval": null}]}
END
;;
*) exit 9 ;;
esac
"""


@pytest.mark.parametrize(
    ("options", "said", "exit_code"),
    [
        ([], "What did run 8 see?", 9),
        (["--at", "2026-11-24 03:10"], "What did run 9 see?", 9),
        (["--at", "2026-11-22T23:00+01:00"], "What did run 8 see?", 9),
        (["--at", "2026-11-25 09:00"], "What did run 8 see?", 9),
        (["--at", "2026-11-20"], "No run deactivated any car", 0),
    ],
)
def test_the_largest_deactivation_is_looked_for_in_the_day_before(
    tmp_path: Path, options: list[str], said: str, exit_code: int
) -> None:
    past = tmp_path / "carsync"
    past.write_text(_PAST)
    past.chmod(0o755)
    told = poison(tmp_path)
    done = subprocess.run(
        [BIN / "runbook-cars-vanished", *options],
        env={"PATH": "/usr/bin:/bin", "CARSYNC": str(past)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said in done.stdout
    assert done.returncode == exit_code
    assert not told.exists(), f"imported from the current folder: {told.read_text()}"


_FRESH = """#!/bin/sh
case "$1" in
status)
    [ "$2" = --json ] || exit "${LATE:-0}"
    cat <<END
{"state": "complete", "mode": "incremental", "reason": "", "next_step": "nothing to do",
 "lock_held": ${HELD:-false}, "phase": "fetching", "window_from": "2026-11-29T11:27:00Z",
 "newest_data_age_s": 720.3, "last_success_age_s": 25200,
 "other": {"mode": "full", "state": "held", "next_step": "approve 31"},
 "api_use": {"budget": {"left": 65, "allowed": 1000, "renews_at": "2026-11-30T00:00:00Z"}}}
END
    ;;
config) cat <<END
{"api": {"window": {"param": ${PARAM:-null}, "overlap": "15m", "max": "72h"},
         "record": {"path": ${RECORD:-null}}}}
END
    ;;
runs) echo '{"runs": [], "changes": []}' ;;
refresh) echo "$ANSWER"; exit "${ENDS:-0}" ;;
sync) echo "synced: $*" ;;
esac
"""
_MINUTES = {"PARAM": '"minutes"', "RECORD": '"/cars/{id}"'}
_TOLD = '{"refreshed": [{"id": "7", "action": "%s", "reason": "%s"}]}'


@pytest.mark.parametrize(
    ("options", "environ", "exit_code", "said"),
    [
        (
            "",
            {},
            0,
            ["newest data 12 min old", "whole feed 7 h old", "last full held", "approve 31"],
        ),
        ("", {}, 0, ["not possible (api.window.param is not set)", "younger than 26h"]),
        ("", _MINUTES, 0, ["asked for by minutes, 15m overlap", "65 of 1000 requests are left"]),
        ("", {**_MINUTES, "HELD": "true", "LATE": "7"}, 0, ["a run is in progress"]),
        ("--yes", {**_MINUTES, "LATE": "7"}, 0, ["synced: sync --mode incremental"]),
        ("--yes", {"LATE": "7"}, 0, ["synced: sync"]),
        ("", {"LATE": "7"}, 10, ["older than 26h", "Nothing was changed"]),
        ("--car 7", {}, 0, ["api.record.path is not set"]),
        ("--car 7", {**_MINUTES, "ANSWER": _TOLD % ("unchanged", "")}, 0, ["not behind"]),
        (
            "--car 7",
            {**_MINUTES, "ANSWER": _TOLD % ("unclear", "HTTP 500"), "ENDS": "3"},
            3,
            ["not clear: HTTP 500"],
        ),
        ("--car 7", {**_MINUTES, "ANSWER": _TOLD % ("updated", "")}, 10, ["refresh would say up"]),
    ],
)
def test_why_cars_are_stale_is_found(
    tmp_path: Path, options: str, environ: dict[str, str], exit_code: int, said: list[str]
) -> None:
    fresh = tmp_path / "carsync"
    fresh.write_text(_FRESH)
    fresh.chmod(0o755)
    done = subprocess.run(
        [BIN / "runbook-stale", *options.split()],
        env={"PATH": "/usr/bin:/bin", "CARSYNC": str(fresh), **environ},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done
    assert done.stderr == ""
    text = " ".join(done.stdout.split())
    assert [words for words in said if words not in text] == []


_STUCK = """#!/bin/sh
case "$1 $2" in
"status --json") echo '{"state": "running", "lock_held": true, "recorded_state": "running",
  "updated_age_s": 1000, "phase": "fetching", "run_id": 1, "checkpoint": "'$PWD/cars.json'"}' ;;
"sync ") echo resumed ;;
*) exit 4 ;;
esac
"""
_HOLD = "import sys; from carsync.state.file_lock import *; FileLock(Path('cars.json')).acquire();"


@pytest.mark.skipif(sys.platform != "linux", reason="LINUX ONLY: /proc says who holds a lock")
@pytest.mark.parametrize("is_here", [True, False])
def test_only_the_process_that_holds_the_lock_is_stopped(tmp_path: Path, is_here: bool) -> None:
    """The number in the file is another process's: a container's, or given away since."""
    stuck = tmp_path / "carsync"
    stuck.write_text(_STUCK)
    stuck.chmod(0o755)
    with (
        subprocess.Popen(["sleep", "60"]) as bystander,
        subprocess.Popen(
            [sys.executable, "-c", f"{_HOLD} print(flush=True); sys.stdin.read()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=tmp_path,
        ) as holder,
    ):
        assert holder.stdout is not None
        holder.stdout.readline()
        if not is_here:
            holder.kill()
            holder.wait()
        (tmp_path / "cars.json.lock").write_text(f"{bystander.pid}\n")
        done = subprocess.run(
            [BIN / "runbook-stuck", "--yes"],
            env={"PATH": "/usr/bin:/bin", "CARSYNC": str(stuck)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            assert bystander.poll() is None, done.stdout
            assert holder.wait(10) == -(signal.SIGTERM if is_here else signal.SIGKILL)
        finally:
            bystander.kill()
            holder.kill()
    assert done.stderr == ""
    assert done.returncode == (0 if is_here else 10), done.stdout
    said = "resumed" if is_here else f"there it is process {bystander.pid}"
    assert said in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("stuck --after 99999999999999999999", "--after needs a number of seconds"),
        ("cars-vanished --at yesterday", "--at needs a time"),
        ("cars-vanished --at 0001-01-01", "--at needs a time"),
        ("cars-vanished --at", "--at needs a value"),
        ("cars-vanished --run ''", "--run needs a value"),
        ("held --config ''", "--config needs a file"),
        ("stale --car", "--car needs a value"),
        ("held --config=", "no such option: --config="),
        ("throttled --rate 1.2.3", "--rate needs a number"),
        ("throttled --rate 0", "--rate needs a number"),
        ("throttled --rate .", "--rate needs a number"),
        ("rollback --wheel carsync", "is not a wheel of carsync"),
        ("rotate-keys api-key .", "is no file"),
        ("rotate-keys api-key latin1", "latin1 cannot be read: not UTF-8"),
        ("rotate-keys api-key key --new-from latin1", "the new secret cannot be read: not UTF-8"),
        ("rotate-keys api-key key --new-from none", "none"),
    ],
)
def test_a_wrong_argument_is_told_in_words(tmp_path: Path, words: str, said: str) -> None:
    fake = tmp_path / "carsync"
    fake.write_text("#!/bin/sh\necho '{}'\n")
    fake.chmod(0o755)
    (tmp_path / "latin1").write_bytes(b"caf\xe9\n")
    (tmp_path / "key").write_text("key\n")
    name, *arguments = shlex.split(words)
    done = subprocess.run(
        [BIN / f"runbook-{name}", *arguments],
        env={"PATH": "/usr/bin:/bin", "CARSYNC": str(fake), "LC_ALL": "C.UTF-8"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done
    assert said in done.stderr
    assert "Traceback" not in done.stderr
