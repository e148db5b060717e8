"""What is shipped: wheel and sdist carry SQL, presets, configuration files and systemd units."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.folders import ROOT


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a command to its end and return what it printed; its errors are shown by pytest."""
    process = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=170,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


def shipped() -> dict[str, str]:
    """Give every file that must be in the wheel: its name there → its name in the repository."""
    folders = {"carsync": "carsync", "sql": "carsync/sql", "config": "carsync/config_files"}
    files = {}
    for folder, place in folders.items():
        for file in sorted((ROOT / folder).rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                files[f"{place}/{file.relative_to(ROOT / folder)}"] = str(file.relative_to(ROOT))
    return files


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist of this repository, and the wheel built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    # A build writes into its tree, where another worker of the same suite may be building.
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "*.egg-info", "__pycache__"))
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, tree)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_carries_every_file_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        manual = {name for name in names if name.endswith(".data/data/share/man/man1/carsync.1")}
        assert names == set(shipped()) | manual
        assert [archive.read(name) for name in manual] == [(ROOT / "docs/carsync.1").read_bytes()]
        for name, file in shipped().items():
            assert archive.read(name) == (ROOT / file).read_bytes(), name
        metadata = [name for name in archive.namelist() if ".dist-info/" in name]
    assert any(name.endswith("licenses/LICENSE") for name in metadata)


def test_what_must_be_shipped_is_not_empty() -> None:
    names = set(shipped())
    assert "carsync/py.typed" in names
    assert "carsync/config/presets/auctionsapi.yaml" in names
    assert {"carsync/config_files/prod.yaml", "carsync/config_files/carsync.example.yaml"} <= names
    units = {"carsync/config_files/systemd/carsync.service"}
    assert units | {"carsync/config_files/systemd/carsync.timer"} <= names
    assert "carsync/config_files/kubernetes/feed/sync.yaml" in names
    assert len([name for name in names if name.startswith("carsync/sql/")]) > 40
    assert len([name for name in names if name.startswith("carsync/sql/migrations/0")]) >= 4


@pytest.mark.slow
def test_the_sdist_carries_the_sources_and_the_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    rest = {"LICENSE", "CHANGELOG.md", "README.md", "pyproject.toml", "setup.cfg", "bin/setup"}
    rest |= {f"requirements/{name}.txt" for name in ("run", "cluster", "demo", "test", "dev")}
    rest |= {"bin/lock", "Containerfile"}
    tests = {"tests/conftest.py", "tests/data/auction_records_md5.json"}
    assert set(shipped().values()) | rest | tests <= names
    assert not [name for name in names if name.endswith(".pyc")]


@pytest.mark.slow
def test_an_installed_wheel_finds_its_sql_presets_and_files(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "venv"
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel)
    program = (
        "import carsync\n"
        "from importlib.resources import files\n"
        "print(carsync.__file__)\n"
        "presets = files('carsync.config.presets').iterdir()\n"
        "print([file.name for file in presets if file.name.endswith('.yaml')])\n"
        "def show(folder, place):\n"
        "    for file in folder.iterdir():\n"
        "        if file.is_dir():\n"
        "            show(file, f'{place}/{file.name}')\n"
        "        elif file.read_bytes():\n"
        "            print(f'{place}/{file.name}')\n"
        "show(files('carsync.sql'), 'carsync/sql')\n"
        "show(files('carsync.config_files'), 'carsync/config_files')\n"
    )
    said = run(python, "-c", program, cwd=tmp_path).splitlines()
    assert said[0].startswith(str(place))
    assert said[1] == "['auctionsapi.yaml']"
    found = {line for line in said[2:] if "__pycache__" not in line}
    data = ("carsync/sql/", "carsync/config_files/")
    assert found == {name for name in shipped() if name.startswith(data)}
    assert (place / "bin" / "carsync").exists()
    assert (place / "share/man/man1/carsync.1").exists(), "where `man` looks beside `bin`"
