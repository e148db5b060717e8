"""What a run changes in its configuration (a window, the type of ids), as a worker applies it.

A worker has the configuration from its own file, with its own secrets; only what differs crosses
the cluster, and no secret ever differs within a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import fields, replace

from carsync.redaction import Secret

_Section = TypeVar("_Section", bound=Struct)

Overlay = dict[str, Any]
"""Changed fields by name: a value, or the overlay of a section, or of a mapping's keys."""


class _Keys(Struct, frozen=True):
    """The overlay of a mapping: keys with new values, and all keys in their order."""

    changed: Overlay
    order: tuple[str, ...]


def difference(before: Struct, after: Struct) -> Overlay:
    """Return what turns the section `before` into `after`.

    >>> from carsync.config.sections import Limits
    >>> difference(Limits(), Limits(concurrency=3))
    {'concurrency': 3}
    """
    overlay = {}
    for field in fields(before):
        old, new = getattr(before, field.name), getattr(after, field.name)
        if old != new:
            overlay[field.name] = _changed(old, new)
    return overlay


def _changed(old: Any, new: Any) -> Any:
    if isinstance(old, Struct) and type(old) is type(new):
        return difference(old, new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        changed = {
            key: _changed(old.get(key), value)
            for key, value in new.items()
            if key not in old or old[key] != value
        }
        return _Keys(changed, tuple(new))
    assert not isinstance(new, Secret)
    return new


def lay_over(section: _Section, overlay: Overlay) -> _Section:
    """Return the section with the changes of `difference`."""
    changed = {name: _laid(getattr(section, name), new) for name, new in overlay.items()}
    return replace(section, **changed)


def _laid(old: Any, new: Any) -> Any:
    if isinstance(new, _Keys):
        changed = new.changed
        return {
            key: _laid(old.get(key), changed[key]) if key in changed else old[key]
            for key in new.order
        }
    if isinstance(old, Struct) and isinstance(new, dict):
        return lay_over(old, new)
    return new
