"""An operator at the host: runs the runbooks in `bin/` and holds them against their pages."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from collections.abc import Mapping
from typing import Any

import yaml

from tests.support.folders import BIN
from tests.support.site import CARSYNC, INHERITED, SETTINGS, Ended, SimulatedSite

CONFIG = "prod.yaml"
NOT_CONFIRMED = 10
NO_VARIABLES: Mapping[str, str] = {}
_BLOCK = re.compile(r"^```console\n\$ (?P<command>.+)\n(?P<output>(?:.*\n)*?)```$", re.M)


class Operator:
    """Stands at one host: its configuration file, its environment, its terminal."""

    def __init__(self, site: SimulatedSite) -> None:
        self.site = site
        self.config: dict[str, Any] = {}
        for key, value in SETTINGS.items():
            self.configure(key, value)

    def configure(self, key: str, value: Any) -> None:
        """Write one key into the configuration file."""
        *sections, name = key.split(".")
        at = self.config
        for section in sections:
            at = at.setdefault(section, {})
        at[name] = value
        (self.site.folder / CONFIG).write_text(yaml.safe_dump(self.config))

    def environment(self, at: Mapping[str, str]) -> dict[str, str]:
        """Return what a command at this host finds in its environment."""
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {**inherited, **self.site.variables, "CARSYNC": CARSYNC[0], **at}

    def open(
        self,
        name: str,
        *arguments: str,
        expect: int = 0,
        stdin: str = "",
        at: Mapping[str, str] = NO_VARIABLES,
    ) -> Ended:
        """Run `bin/runbook-NAME --config prod.yaml ARGUMENTS` without a terminal.

        Both outputs are one, as on a screen. `at` holds further variables: of another host.
        """
        words = [str(BIN / f"runbook-{name}"), "--config", CONFIG, *arguments]
        done = subprocess.run(
            words,
            env=self.environment(at),
            cwd=self.site.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            input=stdin,
        )
        assert done.returncode == expect, f"exit {done.returncode}, not {expect}\n{done.stdout}"
        assert "Traceback" not in done.stdout
        return Ended(done.returncode, done.stdout, "")

    def answer(
        self, name: str, *arguments: str, says: str, at: Mapping[str, str] = NO_VARIABLES
    ) -> Ended:
        """Run it on a terminal, where the operator answers the first question with `says`."""
        ours, theirs = pty.openpty()
        words = [str(BIN / f"runbook-{name}"), "--config", CONFIG, *arguments]
        with os.fdopen(ours, "wb", buffering=0) as keyboard:
            keyboard.write(f"{says}\n".encode())
            try:
                done = subprocess.run(
                    words,
                    env=self.environment(at),
                    cwd=self.site.folder,
                    stdin=theirs,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=60,
                    check=False,
                )
            finally:
                os.close(theirs)
        return Ended(done.returncode, done.stdout, "")

    def refuse(self, name: str, *arguments: str, at: Mapping[str, str] = NO_VARIABLES) -> Ended:
        """Run it without --yes: it proposes something, says how to agree, and changes nothing."""
        before = (self.site.rows(), self._config_text())
        ended = self.open(name, *arguments, expect=NOT_CONFIRMED, at=at)
        assert "Nothing was changed" in ended.out or "run this again" in ended.said
        assert (self.site.rows(), self._config_text()) == before
        return ended

    def _config_text(self) -> str:
        return (self.site.folder / CONFIG).read_text()


def assert_as_on_the_page(name: str, arguments: str, ended: Ended) -> None:
    """Hold what a runbook said against its page: the block that begins with this command.

    `…` there stands for anything; white space and where carsync lies do not count.
    """
    page = (BIN / f"runbook-{name}.md").read_text(encoding="utf-8")
    command = f"bin/runbook-{name} --config {CONFIG} {arguments}".rstrip()
    blocks = {match["command"]: match["output"] for match in _BLOCK.finditer(page)}
    assert command in blocks, f"runbook-{name}.md shows no {command!r}, only {list(blocks)}"
    said = " ".join(ended.out.replace(CARSYNC[0], "carsync").split())
    pieces = [" ".join(piece.split()) for piece in blocks[command].split("…")]
    position = 0
    for number, piece in enumerate(pieces):
        found = said.find(piece, position)
        context = f"on the page, not said:\n{piece}\n\nsaid:\n{ended.out}"
        assert found >= 0, context
        assert number > 0 or found == 0, context
        position = found + len(piece)
    assert pieces[-1] == "" or said.endswith(pieces[-1]), f"said more than the page:\n{ended.out}"
