"""The rooms: imports point downwards, each foreign library has its place, pure means pure.

Everything is read from the source with `ast`; nothing of carsync is imported here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LAYERS = (
    ("words", ["carsync", "errors", "model"]),
    (
        "pure",
        [
            "config",
            "hiding",
            "configkeys",
            "variables",
            "configchecks",
            "configfile",
            "jsvalues",
            "paths",
            "splitting",
            "coercion",
            "uniform",
            "rules",
            "decoding",
            "hashing",
            "mapping",
            "drift",
            "pagination",
            "ratelimit",
            "retry",
            "unpacking",
            "latencies",
            "metrics",
            "acceptance",
            "evidence",
            "options",
            "ending",
            "probing",
            "testimony",
            "sqlstate",
            "advice",
            "figures",
            "shape",
            "columns",
            "draft",
            "doctor",
            "doctor.findings",
            "doctor.settings",
            "doctor.machine",
            "doctor.feed",
            "doctor.server",
            "doctor.tables",
            "doctor.chart",
            "reportdata",
            "charts",
            "timeline",
            "report",
        ],
    ),
    (
        "input and output",
        [
            "logs",
            "streams",
            "failpoints",
            "presets",
            "credentials",
            "templates",
            "resolver",
            "connections",
            "transport",
            "webhook",
            "waiting",
            "translation",
            "pgsql",
            "database",
            "backends",
            "access",
            "session",
            "limits",
            "staging",
            "ledger",
            "absences",
            "changes",
            "merge",
            "migrations",
            "history",
            "rejects",
            "observations",
            "approval",
            "trail",
            "reversal",
            "statefile",
            "moment",
            "checkpoint",
            "filelock",
            "journal",
        ],
    ),
    (
        "processes",
        [
            "child",
            "settings",
            "manager",
            "fetcher",
            "writer",
            "supervisor",
            "stopping",
            "inquiry",
            "patience",
            "intake",
        ],
    ),
    (
        "a run",
        [
            "summary",
            "watching",
            "observer",
            "terminal",
            "liveview",
            "progress",
            "eventlog",
            "exposition",
            "textfile",
            "sdnotify",
            "monitor",
            "resume",
            "deactivation",
            "merging",
            "reverting",
            "replay",
            "beginning",
            "conclusion",
            "sync",
        ],
    ),
    (
        "front",
        [
            "statusview",
            "story",
            "runlist",
            "storyview",
            "doctor.machine_facts",
            "doctor.feed_facts",
            "doctor.server_facts",
            "doctor.checkup",
            "notices",
            "changesummary",
            "dossier",
            "demo",
            "demo.cars",
            "demo.feed",
            "demo.simulator",
            "demo.server",
            "demo.postgres",
            "demo.referee",
            "demo.screen",
            "demo.shell",
            "demo.story",
            "cli.voice",
            "cli.grouping",
            "cli.loading",
            "cli.listeners",
            "cli.init",
            "cli.check",
            "cli.sync",
            "cli.notify",
            "cli.status",
            "cli.preview",
            "cli.migrate",
            "cli.approve",
            "cli.revert",
            "cli.rejects",
            "cli.report",
            "cli.runs",
            "cli.config",
            "cli.demo",
            "cli.simulate",
            "cli.completion",
            "cli.help",
            "cli.app",
            "cli",
            "__main__",
            "reference",
            "reference.commandtree",
            "reference.configtable",
            "reference.pages",
            "reference.manpage",
            "reference.metricspage",
            "reference.documents",
            "reference.__main__",
        ],
    ),
)
"""Every module of carsync, from the ground up: each may import only those named before it."""

ROOMS = {
    "requests": ["connections", "transport", "webhook"],
    "urllib3": ["connections", "transport"],
    "psycopg2": ["waiting", "translation", "pgsql", "database"],
    "yaml": ["configfile", "reference.documents"],
    "psutil": ["supervisor"],
    "xxhash": ["hashing", "statefile", "checkpoint", "resume"],
    "rich": ["terminal", "liveview"],
    "click": ["cli", "demo.screen", "reference.commandtree"],
    "prometheus_client": ["exposition"],
    "jinja2": ["report"],
    "uvicorn": ["demo.server"],
}
"""Where each foreign library may be imported, a package standing for all of its modules.

msgspec, which types records and configuration, may be imported everywhere.
"""

IMPURE = {"asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "select", "shutil"}
IMPURE |= {"signal", "socket", "ssl", "subprocess", "sys", "tempfile", "time", "random"}

LAZY = ["child", "cli", "cli.grouping", "cli.listeners"]
"""Modules that import others by name, when a command is called, a child starts or a key is set."""

ORDER = [module for _, modules in LAYERS for module in modules]
PURE = [*LAYERS[0][1], *LAYERS[1][1]]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(sources()[module].read_text(encoding="utf-8"))


@cache
def sources() -> dict[str, Path]:
    """Give module name (without `carsync.`) → file, for every module there is."""
    found = {}
    for path in (ROOT / "carsync").rglob("*.py"):
        parts = path.relative_to(ROOT / "carsync").with_suffix("").parts
        name = ".".join(parts).removesuffix("__init__").removesuffix(".")
        found[name or "carsync"] = path
    return found


def imported(node: ast.AST) -> Iterator[str]:
    """Give the absolute dotted names of all that is imported in `node`, names in `from` too."""
    for part in ast.walk(node):
        if isinstance(part, ast.Import):
            yield from (alias.name for alias in part.names)
        elif isinstance(part, ast.ImportFrom):
            assert part.level == 0, "relative import"
            yield from (f"{part.module}.{alias.name}" for alias in part.names)


def own_imports(module: str) -> set[str]:
    """Give the modules of carsync that `module` imports."""
    found = set()
    for name in imported(tree(module)):
        if name.partition(".")[0] != "carsync":
            continue
        path = name.removeprefix("carsync.")
        while path and path not in sources():
            path = path.rpartition(".")[0]
        found.add(path or "carsync")
    return found


def libraries(module: str) -> set[str]:
    """Give the top-level names of what `module` imports from elsewhere."""
    return {name.partition(".")[0] for name in imported(tree(module))} - {"carsync"}


def reached(module: str) -> set[str]:
    """Give `module` and all of carsync that its import loads."""
    found: set[str] = set()
    ahead = [module]
    while ahead:
        current = ahead.pop()
        if current not in found:
            found.add(current)
            ahead += own_imports(current)
    return found


def test_every_module_has_its_place_in_the_layers() -> None:
    assert sorted(ORDER) == sorted(sources()), "name the new module in LAYERS, remove the old one"


@pytest.mark.parametrize("module", ORDER)
def test_imports_point_downwards(module: str) -> None:
    below = ORDER[: ORDER.index(module)]
    assert own_imports(module) <= set(below)


@pytest.mark.parametrize("module", ORDER)
def test_nothing_is_imported_inside_a_function(module: str) -> None:
    functions = [
        node
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    inside = [name for function in functions for name in imported(function)]
    assert inside == []


def test_only_commands_and_children_are_imported_by_name() -> None:
    by_name = {
        module
        for module in ORDER
        for node in ast.walk(tree(module))
        if (isinstance(node, ast.Attribute) and node.attr == "import_module")
        or (isinstance(node, ast.Name) and node.id in {"import_module", "__import__"})
    }
    assert by_name == set(LAZY)


@pytest.mark.parametrize("module", ORDER)
def test_foreign_libraries_are_imported_in_their_room_only(module: str) -> None:
    packages = {module, module.partition(".")[0]}
    allowed = {"msgspec"} | {library for library, rooms in ROOMS.items() if packages & set(rooms)}
    assert libraries(module) - set(sys.stdlib_module_names) <= allowed


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_know_no_clock_file_socket_or_process(module: str) -> None:
    assert libraries(module) & IMPURE == set()


@pytest.mark.parametrize(
    ("child", "needed"),
    [
        ("fetcher", {"requests", "urllib3", "xxhash", "msgspec"}),
        ("writer", {"psycopg2", "msgspec"}),
        ("manager", {"msgspec"}),
    ],
)
def test_a_child_loads_only_what_it_works_with(child: str, needed: set[str]) -> None:
    loaded = set().union(*(libraries(module) for module in reached(child)))
    assert loaded - set(sys.stdlib_module_names) == needed


def test_a_sync_loads_what_only_some_configurations_need_by_name() -> None:
    loaded = set().union(*(libraries(module) for module in reached("cli.sync")))
    assert loaded & {"prometheus_client", "requests", "urllib3"} == set()


def test_the_command_group_loads_no_room() -> None:
    rooms = {"cli.app", "cli.grouping", "cli.voice", "carsync", "errors"}
    rooms |= {"figures", "logs", "streams"}
    assert reached("cli.app") == rooms
    assert reached("__main__") == {"__main__", "cli"}
