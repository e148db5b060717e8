"""Names that a library keeps for itself: few, known, and a release that drops one is named."""

from __future__ import annotations

import ast
import inspect
import sys
from importlib.metadata import version
from multiprocessing import managers

from urllib3.connection import HTTPConnection

from tests.support.folders import ROOT

USED = {
    "_dns_host": f"urllib3 {version('urllib3')}",
    "_tunnel_host": f"urllib3 {version('urllib3')}",
    "_new_conn": f"urllib3 {version('urllib3')}",
    "_process": f"multiprocessing of Python {sys.version.split()[0]}",
    "_exit": "os",  # documented
}
"""The private names that carsync uses, with the library of each and the release that is here."""


def used_and_own() -> tuple[set[str], set[str]]:
    """Return the private names that carsync reads, and those that it defines."""
    used, own = set(), set()
    for path in (ROOT / "carsync").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(attr=name, ctx=ast.Load()):
                    used.add(name)
                case ast.Call(func=ast.Name("getattr"), args=[_, ast.Constant(str(name)), *_]):
                    used.add(name)
                case ast.ImportFrom(names=names):
                    used |= {alias.name for alias in names}
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    own.add(name)
                case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(name, ctx=ast.Store()):
                    own.add(name)
    return {name for name in used if name.startswith("_") and not name.startswith("__")}, own


def test_every_private_name_of_a_library_is_known() -> None:
    used, own = used_and_own()
    assert (used - own) | ({"_new_conn"} & own) == USED.keys(), "_new_conn is replaced by ours"


def test_the_libraries_of_today_still_have_the_private_names() -> None:
    made = HTTPConnection("a.test.")
    assert hasattr(made, "_dns_host"), f"dropped by {USED['_dns_host']}"
    assert hasattr(made, "_tunnel_host"), f"dropped by {USED['_tunnel_host']}"
    assert hasattr(made, "_new_conn"), f"dropped by {USED['_new_conn']}"
    calls = inspect.getsource(HTTPConnection.connect)
    assert "_new_conn()" in calls, f"connect() calls it no more since {USED['_new_conn']}"
    source = inspect.getsource(managers.BaseManager.start)
    assert "self._process = " in source, f"dropped by {USED['_process']}"
