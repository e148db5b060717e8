"""The packages: imports point one way, each foreign library has its place, pure means pure.

Everything is read from the source with `ast`; nothing of carsync is imported here.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from tests.support.folders import ROOT

PACKAGES = (
    {"config"},
    {"source", "mapping", "postgres"},
    {"state"},
    {"destination"},
    {"deactivation", "engine"},
    {"run"},
    {"reporting"},
    {"doctor", "demo"},
    {"cli"},
)
"""The packages from the ground up: each may import only those of the lines before its own.

Below them lie the root's modules, which everybody may use and which use nobody.
"""

LIBRARIES = {
    "requests": [
        "source.connection_pool",
        "source.client",
        "source.refusals",
        "source.auth.oauth2",
        "reporting.notify.webhook",
    ],
    "urllib3": ["source.connection_pool", "source.client"],
    "psycopg2": [
        "config.dsn",
        "postgres.wait",
        "postgres.errors",
        "postgres.connection",
        "postgres.sql",
    ],
    "yaml": ["config.parser", "config.yaml_text", "cli.reference.documents"],
    "psutil": ["engine.local.fleet", "engine.dask.cluster"],
    "xxhash": [
        "config.dsn",
        "engine.dask.offers",
        "mapping.hashing",
        "state.checkpoint",
        "run.fingerprints",
    ],
    "isal": ["source.compression"],
    "dask": ["engine.dask.nodes"],
    "distributed": ["engine.dask"],
    "click": ["cli", "demo.console", "cli.reference.commandtree"],
    "prometheus_client": ["reporting.notify.prometheus"],
    "jinja2": ["reporting.html.page"],
    "uvicorn": ["demo.server"],
    "requests_oauthlib": ["source.auth.oauth2"],
    "oauthlib": ["source.auth.oauth2"],
}
"""Where each foreign library may be imported, a package standing for all of its modules.

msgspec, which types records and configuration, may be imported everywhere.
"""

PURE = [
    "columns",
    "decision",
    "errors",
    "exit_codes",
    "formatting",
    "model",
    "redaction",
    "config.environment",
    "config.api_sections",
    "config.api_validation",
    "config.keys",
    "config.mapping_sections",
    "config.section_base",
    "config.sections",
    "config.validation",
    "source.auth.token_store",
    "source.compression",
    "source.pagination",
    "source.rate_limit",
    "source.retry",
    "mapping",
    "postgres.sqlstate",
    "deactivation.by_id",
    "deactivation.policy",
    "run.figures.acceptance",
    "run.figures.latency",
    "run.figures.metrics",
    "state.figures",
    "run.outcome",
    "doctor.config_checks",
    "doctor.feed_checks",
    "doctor.findings",
    "doctor.machine_checks",
    "doctor.paging_guesses",
    "doctor.paging_signs",
    "doctor.render",
    "doctor.server_checks",
    "doctor.table_checks",
    "doctor.way_checks",
    "reporting.html.charts",
    "reporting.html.data",
    "reporting.html.page",
    "reporting.html.time_series",
    "reporting.live.live_view",
    "reporting.views.layout",
    "reporting.views.wording",
    "cli.guide.answers",
    "cli.guide.config_file",
    "cli.guide.paging",
]
"""Modules, and packages for all of theirs, that know no clock, file, socket or process."""

IMPURE = {"asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "select", "shutil"}
IMPURE |= {"signal", "socket", "ssl", "subprocess", "sys", "tempfile", "time", "random"}

BY_NAME = ["source.kinds", "engine.local.child", "cli", "cli.lazy_group", "cli.sync"]
BY_NAME += [
    "engine.choice",
    "engine.local.reserve",
    "reporting.notify.notifier",
    "reporting.notify.pings",
]
"""Modules that import others by name: a kind of paging or authentication, a command, a worker,
or what only some configurations need."""


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(sources()[module].read_text(encoding="utf-8"))


@cache
def sources() -> dict[str, Path]:
    """Give module name (without `carsync.`) → file, for every module there is."""
    found = {}
    for path in sorted((ROOT / "carsync").rglob("*.py")):
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


@cache
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
            ahead += [current.rpartition(".")[0]] if "." in current else []
    return found


def lies_in(module: str, places: list[str]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def height(module: str) -> int:
    """Return how high above the ground a module lies: 0 for the root's, then a line a step."""
    package = module.partition(".")[0]
    for number, line in enumerate(PACKAGES, start=1):
        if package in line:
            return number
    return len(PACKAGES) + 1 if module == "__main__" else 0


MODULES = sorted(sources())


def test_every_folder_is_a_package_with_a_place() -> None:
    found = (path for path in (ROOT / "carsync").iterdir() if not path.is_symlink())
    folders = {path.name for path in found if path.is_dir()}
    assert folders - {"__pycache__"} == set().union(*PACKAGES)


def test_imports_point_one_way() -> None:
    def may_import(module: str, other: str) -> bool:
        same = height(module) == 0 or other.partition(".")[0] == module.partition(".")[0]
        return height(other) < height(module) or (same and height(other) == height(module))

    pairs = [(module, other) for module in MODULES for other in own_imports(module)]
    assert [pair for pair in pairs if not may_import(*pair)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    for module in MODULES:
        others = set().union(*(reached(other) for other in own_imports(module)))
        packages = {name for name in others if sources()[name].name == "__init__.py"}
        assert module not in others - packages, f"{module} imports itself by way of others"


def test_no_folder_holds_more_modules_than_a_newcomer_takes_in() -> None:
    files = [path.parent for path in sources().values()]
    assert max(map(files.count, set(files))) <= 25


def test_nothing_is_imported_inside_a_function() -> None:
    inside = [
        (module, name)
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for name in imported(node)
    ]
    assert inside == []


def test_only_commands_and_children_are_imported_by_name() -> None:
    by_name = {
        module
        for module in MODULES
        for node in ast.walk(tree(module))
        if (isinstance(node, ast.Attribute) and node.attr == "import_module")
        or (isinstance(node, ast.Name) and node.id in {"import_module", "__import__"})
    }
    assert by_name == set(BY_NAME)


def test_foreign_libraries_are_imported_in_their_place_only() -> None:
    misplaced = [
        (module, library)
        for module in MODULES
        for library in libraries(module) - set(sys.stdlib_module_names) - {"msgspec"}
        if not lies_in(module, LIBRARIES.get(library, []))
    ]
    assert misplaced == []


def test_one_module_prints_for_all_commands() -> None:
    """Another print would be another door for what a feed or a table holds."""
    doors = {
        (module, ast.unparse(node))
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node).startswith(("click.", "sys.stdout.", "sys.stderr."))
        and node.attr in {"echo", "secho", "write", "writelines", "buffer"}
    }
    assert doors == {
        ("cli.console", "click.echo"),  # the report, a file
        ("cli.console", "sys.stdout.write"),
        ("cli.reference.__main__", "sys.stdout.write"),  # for developers: names of files
        ("demo.console", "sys.stdout.write"),
    }


def test_pure_modules_know_no_clock_file_socket_or_process() -> None:
    pure = {module: libraries(module) for module in MODULES if lies_in(module, PURE)}
    assert {module: names & IMPURE for module, names in pure.items() if names & IMPURE} == {}


def test_the_lists_name_what_exists() -> None:
    assert {*PURE, *BY_NAME, *chain(*LIBRARIES.values())} - set(sources()) == set()


@pytest.mark.parametrize(
    ("child", "needed"),
    [
        ("fetcher", {"requests", "urllib3", "xxhash", "msgspec", "isal"}),
        ("writer", {"psycopg2", "msgspec"}),
        ("gate_server", {"msgspec"}),
    ],
)
def test_a_child_loads_only_what_it_works_with(child: str, needed: set[str]) -> None:
    loaded = set().union(*(libraries(module) for module in reached(f"engine.local.{child}")))
    assert loaded - set(sys.stdlib_module_names) == needed


def test_a_sync_loads_what_only_some_configurations_need_by_name() -> None:
    loaded = set().union(*(libraries(module) for module in reached("cli.sync")))
    assert loaded & {"prometheus_client", "requests", "urllib3"} == set()


def test_the_command_group_loads_next_to_nothing() -> None:
    light = {"cli", "cli.app", "cli.lazy_group", "cli.console", "carsync", "errors", "exit_codes"}
    light |= {"formatting", "logging_setup", "redaction", "stdio"}
    assert reached("cli.app") == light
    assert reached("__main__") == {"__main__", "cli"}
