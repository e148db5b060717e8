"""The locks in requirements/: every dependency, one version, and hashes for every file."""

from __future__ import annotations

import itertools
import re
import tomllib
from functools import cache

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.folders import ROOT

LOCKS = {
    "run": (),
    "demo": ("demo",),
    "cluster": ("cluster",),
    "test": ("demo", "cluster", "test"),
    "dev": ("demo", "cluster", "test", "dev"),
}
"""The file of each lock and the extras whose dependencies it holds."""
_PIN = re.compile(
    r"([a-z0-9-]+)==([^\s;]+)( ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)


@cache
def pins(lock: str) -> dict[str, str]:
    """Return name → version; what the file holds besides must be comments."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="ascii")
    rest = [line for line in _PIN.sub("", text).splitlines() if not line.startswith("#")]
    assert rest == [], "every line is a version with its hashes"
    return {found[1]: found[2] for found in _PIN.finditer(text)}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_pyproject_demands(lock: str) -> None:
    demanded = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = demanded["project"]
    asked = [*demanded["build-system"]["requires"], *project["dependencies"]]
    asked += [each for extra in LOCKS[lock] for each in project["optional-dependencies"][extra]]
    for each in map(Requirement, asked):
        if each.name != project["name"]:
            version = pins(lock).get(canonicalize_name(each.name))
            assert version is not None, f"run bin/lock --no-upgrade: {each} is not locked"
            assert each.specifier.contains(version), f"run bin/lock --no-upgrade: {each}"


def test_all_locks_agree() -> None:
    for order in (("run", "demo", "test", "dev"), ("run", "cluster", "test")):
        for smaller, larger in itertools.pairwise(order):
            assert pins(smaller).items() <= pins(larger).items()


def test_a_machine_without_a_cluster_gets_nothing_of_it() -> None:
    assert {"distributed", "dask", "tornado"} <= pins("cluster").keys() - pins("demo").keys()


@pytest.mark.parametrize("script", ["setup", "install-systemd"])
def test_nothing_is_installed_past_the_lock(script: str) -> None:
    text = (ROOT / "bin" / script).read_text(encoding="utf-8").replace("\\\n", " ")
    call = re.compile(r'\s*(install --|"\$folder.* pip install)')
    installs = list(filter(call.match, text.splitlines()))
    assert len(installs) == 2, installs
    locked, own = installs
    assert "--require-hashes" in locked
    assert "--only-binary :all:" in locked, "a source would be built by the newest of its backend"
    assert {"--no-deps", "--no-build-isolation"} <= set(own.split())
