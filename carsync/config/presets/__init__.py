"""Mapping presets: one YAML file a feed, shipped inside the wheel."""

from __future__ import annotations

import difflib
from importlib import resources

from carsync.errors import ConfigError


def preset_names() -> list[str]:
    """Return the names that `mapping.preset` may have, sorted."""
    files = resources.files(__name__).iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def read_preset(name: str) -> str:
    """Return the YAML text of the preset `name`.

    Raises `ConfigError` naming the known ones. Only known names are opened, so a
    name cannot lead out of this package.
    """
    known = preset_names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(
            f"mapping.preset: there is no preset {name!r}",
            detail=f"known presets: {', '.join(known)}",
            hint=f"did you mean {close[0]}?" if close else "null maps by mapping.columns alone",
        )
    return resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
