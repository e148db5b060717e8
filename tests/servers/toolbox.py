"""What the servers run on: installed once from the package registries, and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

APPS = Path(__file__).parent / "apps"
_INSTALL_S = 600.0
_LARAVEL = Path("/usr/share/php/Illuminate/Database/autoload.php")
_PACKAGES = {
    "php": "php-cli php-sqlite3 php-illuminate-database php-illuminate-pagination",
    "nginx": "nginx-light",
    "npm": "npm",
}


class Toolbox:
    """Tools below one folder; a test that needs a tool that cannot be had is skipped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def python(self, name: str) -> Path:
        """Return the interpreter of a virtual environment with what `apps/NAME.txt` lists."""
        requirements = APPS / f"{name}.txt"

        def install(folder: Path) -> None:
            uv = Path(sys.executable).with_name("uv")
            if uv.exists():  # four times as fast
                _run(str(uv), "venv", "--python", sys.executable, "--allow-existing", str(folder))
                python = str(folder / "bin/python")
                _run(str(uv), "pip", "install", "--python", python, "-r", str(requirements))
            else:
                _run(sys.executable, "-m", "venv", str(folder))
                _run(str(folder / "bin/python"), "-m", "pip", "install", "-r", str(requirements))

        return self._installed(requirements, sys.version, install) / "bin/python"

    def node_modules(self) -> Path:
        """Return the folder with what `apps/node/package.json` lists."""
        self.need("npm")
        packages = APPS / "node/package.json"

        def install(folder: Path) -> None:
            shutil.copy(packages, folder)
            # Nothing is compiled: SQLite is used as WebAssembly.
            _run("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

        return self._installed(packages, "", install) / "node_modules"

    def need(self, program: str) -> None:
        """Skip the test where a program of the system's is missing."""
        if shutil.which(program) is None or (program == "php" and not _LARAVEL.exists()):
            pytest.skip(f"{program} is missing: apt-get install {_PACKAGES[program]}")

    def _installed(self, list_: Path, more: str, install: Callable[[Path], None]) -> Path:
        """Return the folder of what a list names; two test processes may install it at once."""
        mark = sha256(list_.read_bytes() + more.encode()).hexdigest()[:12]
        folder = self._folder / f"{list_.parent.name}-{list_.stem}-{mark}"
        if not folder.exists():
            unfinished = Path(tempfile.mkdtemp(dir=self._folder))
            install(unfinished)
            with suppress(OSError):  # the other one was faster
                unfinished.rename(folder)
        return folder


def _run(*command: str, cwd: Path | None = None) -> None:
    """Run an installer; skip the test where it fails, with the last that it said."""
    try:
        subprocess.run(
            command, cwd=cwd, check=True, capture_output=True, text=True, timeout=_INSTALL_S
        )
    except (OSError, subprocess.SubprocessError) as exc:
        said = str(getattr(exc, "stderr", None) or exc).strip().splitlines()
        pytest.skip(f"{Path(command[0]).name} cannot install: {' '.join(said[-2:])}")


def environment(home: Path) -> dict[str, str]:
    """Return the variables of a server: a path to its programs, and a home of the test's own."""
    return {"PATH": os.environ["PATH"], "HOME": str(home)}
