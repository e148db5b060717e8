"""Pages as a browser shows them: headless Chromium driven over its own pipe, pictures as pixels.

The protocol is Chrome's DevTools Protocol; its messages are JSON, each ended by a zero byte,
on descriptors 3 (to the browser) and 4 (from it) with `--remote-debugging-pipe`.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DEADLINE_S = 60.0
_OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"),
)

_START = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Puts the pipe's ends where Chromium looks for them."""

Pixel = tuple[int, int, int]


class Browser:
    """One page of a headless Chromium; `requests` are the addresses that it asked for."""

    def __init__(self, to: int, since: int) -> None:
        self.requests: list[str] = []
        self._to = to
        self._from = since
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")
        self.call("Network.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Carry out a command of the protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, file: Path, width: int, *, dark: bool = False) -> None:
        """Show a file in a window of `width` CSS pixels, and wait until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded = False
        self.call("Page.navigate", url=file.as_uri())
        while not self._loaded:
            self._next()

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page, as JSON carries it."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def picture(self, box: dict[str, float]) -> list[list[Pixel]]:
        """Return the pixels of a part of the page: its `x`, `y`, `width`, `height`."""
        shot = self.call(
            "Page.captureScreenshot",
            clip={**box, "scale": 1},
            captureBeyondViewport=True,
            optimizeForSpeed=True,
        )
        return decode_png(base64.b64decode(shot["data"]))

    def _next(self) -> dict[str, Any]:
        """Return the next message, after taking note of what it tells."""
        until_s = time.monotonic() + DEADLINE_S
        while b"\0" not in self._rest:
            readable, _, _ = select.select([self._from], [], [], until_s - time.monotonic())
            assert readable, f"Chromium said nothing for {DEADLINE_S:g} s"
            part = os.read(self._from, 1 << 20)
            assert part, "Chromium ended"
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        if message.get("method") == "Page.loadEventFired":
            self._loaded = True
        return message


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start Chromium with a profile of its own in `folder`, and end it."""
    assert CHROMIUM is not None
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    with (folder / "chromium.log").open("wb") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", _START, str(to_read), str(from_write)),
                *(CHROMIUM, *_OPTIONS, f"--user-data-dir={folder / 'profile'}", "about:blank"),
            ],
            pass_fds=(to_read, from_write),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
        )
    os.close(to_read)
    os.close(from_write)
    try:
        yield Browser(to_write, from_read)
    finally:
        process.kill()
        process.wait()
        os.close(to_write)
        os.close(from_read)


def decode_png(data: bytes) -> list[list[Pixel]]:
    """Return the rows of pixels of a picture of 8-bit RGB or RGBA that is not interlaced.

    Chunks and filters: PNG specification, sections 11.2 and 9.2.
    """
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, packed, width, channels = 8, b"", 0, 0
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + size]
        place += 12 + size
        if kind == b"IHDR":
            width, _, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            channels = {2: 3, 6: 4}[color]
            assert (depth, interlaced) == (8, 0)
        elif kind == b"IDAT":
            packed += body
    raw = zlib.decompress(packed)
    span = width * channels
    above = bytearray(span)
    rows = []
    for start in range(0, len(raw), span + 1):
        line = bytearray(raw[start + 1 : start + 1 + span])
        _unfilter(raw[start], line, above, channels)
        above = line
        rows.append(
            [(line[i], line[i + 1], line[i + 2]) for i in range(0, span, channels)],
        )
    return rows


def _unfilter(kind: int, line: bytearray, above: bytearray, channels: int) -> None:
    for i in range(len(line)):
        left = line[i - channels] if i >= channels else 0
        corner = above[i - channels] if i >= channels else 0
        match kind:
            case 0:
                return
            case 1:
                guess = left
            case 2:
                guess = above[i]
            case 3:
                guess = (left + above[i]) // 2
            case _:
                linear = left + above[i] - corner
                guess = min((left, above[i], corner), key=lambda near: abs(linear - near))
        line[i] = (line[i] + guess) & 0xFF
