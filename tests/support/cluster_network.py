"""Hosts of a cluster on one machine: a network namespace each where that is allowed, else loopback.

hosts ─ veth ─ bridge ─ this machine, whose loopback ports they reach where `publish` lets them
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from itertools import count
from pathlib import Path

_numbers = count(1)
_FORWARD = "-p tcp --dport {port} -j DNAT --to 127.0.0.1:{port}"


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True, timeout=20)


class Network:
    """Some hosts that reach each other; `is_real`: each can be cut off."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._tag = f"c{os.getpid() % 100_000:x}{next(_numbers)}"
        self._prefix = f"10.{64 + os.getpid() % 64}.{(os.getpid() >> 6) % 256}"
        self._hosts = {name: number for number, name in enumerate(hosts, 2)}
        self._undo: list[str] = []
        self.is_real = self._is_allowed()

    def _is_allowed(self) -> bool:
        try:
            self._build()
        except (OSError, subprocess.SubprocessError):
            self.close()
            return False
        return True

    def _build(self) -> None:
        bridge = f"{self._tag}b"
        self._do(f"ip link add {bridge} type bridge", f"ip link del {bridge}")
        self._do(f"ip addr add {self._prefix}.1/24 dev {bridge}")
        self._do(f"ip link set {bridge} up")
        route = Path(f"/proc/sys/net/ipv4/conf/{bridge}/route_localnet")
        route.write_text("1")  # packets of the hosts may reach this machine's loopback
        for name in self._hosts:
            space, link = f"{self._tag}{name}", self._link(name)
            self._do(f"ip netns add {space}", f"ip netns del {space}")
            self._do(f"ip link add {link} type veth peer name eth0 netns {space}")
            self._do(f"ip link set {link} master {bridge} up")
            self._do(f"ip -n {space} addr add {self.address(name)}/24 dev eth0")
            self._do(f"ip -n {space} link set eth0 up")
            self._do(f"ip -n {space} link set lo up")

    def _do(self, command: str, undo: str = "") -> None:
        _run(command)
        if undo:
            self._undo.append(undo)

    def _link(self, name: str) -> str:
        return f"{self._tag}v{self._hosts[name]}"

    @property
    def here(self) -> str:
        """The address at which the hosts reach this machine."""
        return f"{self._prefix}.1" if self.is_real else "127.0.0.1"

    def address(self, name: str) -> str:
        """Return the address of a host."""
        is_real = getattr(self, "is_real", True)  # while it is being built
        return f"{self._prefix}.{self._hosts[name]}" if is_real else "127.0.0.1"

    def publish(self, port: int) -> None:
        """Let the hosts reach a port of this machine's loopback."""
        if self.is_real:
            forward = _FORWARD.format(port=port)
            arrive = f"PREROUTING -d {self.here} {forward}"
            self._do(f"iptables -w -t nat -A {arrive}", f"iptables -w -t nat -D {arrive}")

    def inside(self, name: str) -> list[str]:
        """Return the words before a command that runs on a host; its process id stays."""
        return ["nsenter", f"--net=/run/netns/{self._tag}{name}"] if self.is_real else []

    def cut_off(self, name: str, other: str | None = None) -> None:
        """Lose what a host sends and is sent: all of it, or what it and the `other` one say."""
        if other is None:
            _run(f"ip link set {self._link(name)} down")
            return
        for chain, side in (("INPUT", "-s"), ("OUTPUT", "-d")):
            rule = f"iptables -w -A {chain} {side} {self.address(other)} -j DROP"
            _run(" ".join([*self.inside(name), rule]))

    def join(self, name: str) -> None:
        """Let a host be reached again."""
        _run(f"ip link set {self._link(name)} up")
        _run(" ".join([*self.inside(name), "iptables -w -F"]))

    def close(self) -> None:
        """Take everything down again."""
        while self._undo:
            with suppress(OSError, subprocess.SubprocessError):
                _run(self._undo.pop())
