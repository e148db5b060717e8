"""Releases of carsync for the drills: wheels made in a moment, and a virtual environment."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

from carsync import __version__
from tests.support.folders import ROOT

_FOLDERS = {"carsync": "carsync", "sql": "carsync/sql", "config": "carsync/config_files"}


def make_wheel(folder: Path, version: str, without_migration: int | None = None) -> Path:
    """Make a wheel of this repository under another version.

    `without_migration`: as a release before that migration would be.
    """
    name = f"carsync-{version}"
    path = folder / f"{name}-py3-none-any.whl"
    left_out = "" if without_migration is None else f"{without_migration:04d}_"
    with zipfile.ZipFile(path, "w") as wheel:
        files: dict[str, Path] = {}
        for source, place in _FOLDERS.items():
            for file in (ROOT / source).rglob("*"):
                is_left_out = left_out and file.name.startswith(left_out)
                if file.is_file() and file.suffix != ".pyc" and not is_left_out:
                    files[f"{place}/{file.relative_to(ROOT / source)}"] = file
        head = files.pop("carsync/__init__.py").read_text(encoding="utf-8")
        wheel.writestr("carsync/__init__.py", head.replace(__version__, version))
        for there, file in files.items():
            wheel.write(file, there)
        for file_name, text in {
            "METADATA": f"Metadata-Version: 2.1\nName: carsync\nVersion: {version}\n",
            "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "entry_points.txt": "[console_scripts]\ncarsync = carsync.cli:main\n",
            "RECORD": "",
        }.items():
            wheel.writestr(f"{name}.dist-info/{file_name}", text)
    return path


def make_environment(folder: Path, wheel: Path) -> Path:
    """Make a virtual environment with the wheel, all else from this one; return its `carsync`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    python = folder / "bin" / "python3"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([python, "-c", query], capture_output=True, text=True, check=True)
    link = Path(found.stdout.strip()) / "others.pth"
    link.write_text(sysconfig.get_path("purelib") + "\n")
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--no-deps", wheel]
    subprocess.run(pip, check=True, timeout=60)
    return folder / "bin" / "carsync"
