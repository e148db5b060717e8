"""Kinds of paging and of authentication: each is a module of its own, found by its name."""

from __future__ import annotations

import importlib
import inspect
from typing import Any


def load_kind(base: type, name: str) -> Any:
    """Return the one class derived from `base` in the module `name` beside it.

    So a new kind is a new file, and a new name in the configuration's section.
    """
    package = base.__module__.rpartition(".")[0]
    module = importlib.import_module(f"{package}.{name}")
    (kind,) = (
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, base) and found.__module__ == module.__name__
    )
    return kind
