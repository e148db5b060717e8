"""`carsync completion`: a shell completes commands, options, keys and files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import run

RETRY_KEYS = ("max_attempts", "base_s", "cap_s")


def completed(line: str, **environ: str) -> set[str]:
    """Give what bash would be told to offer for `line`."""
    words = line.split(" ")
    environ = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), **environ}
    result = run(_CARSYNC_COMPLETE="bash_complete", **environ)
    assert result.exit_code == 0
    return set(result.stdout.split())


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("carsync st", {"plain,status"}),
        ("carsync rejects ", {"plain,list", "plain,replay"}),
        ("carsync sync --js", {"plain,--json"}),
        ("carsync sync --verb", {"plain,--verbose"}),
        ("carsync sync --config ", {"file,"}),
        ("carsync sync --set limits.retry.", {f"plain,limits.retry.{k}=" for k in RETRY_KEYS}),
        ("carsync completion ", {"plain,bash", "plain,zsh", "plain,fish"}),
    ],
)
def test_words_are_completed(line: str, offered: set[str]) -> None:
    assert completed(line) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell: str) -> None:
    script = run("completion", shell).stdout
    assert f"_CARSYNC_COMPLETE={shell}_complete" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_real_bash_completes_with_the_script(tmp_path: Path) -> None:
    script = tmp_path / "carsync.bash"
    script.write_text(run("completion", "bash").stdout)
    program = (
        f"source {script}\n"
        "COMP_WORDS=(carsync sync --fr) COMP_CWORD=2\n"
        "_carsync_completion carsync --fr sync\n"
        'echo "${COMPREPLY[@]}"; complete -p carsync\n'
    )
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", program], capture_output=True, text=True, timeout=60, env=environ
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "--fresh"
    assert "_carsync_completion carsync" in done.stdout
