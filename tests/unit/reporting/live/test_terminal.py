"""The terminal: who gets colours, and a block that stays in its place whatever happens to it."""

from __future__ import annotations

import io
import os
import re

import pytest

from carsync.formatting import paint
from carsync.reporting.live.live_view import LiveState, live_lines
from carsync.reporting.live.terminal import Canvas, columns_of, crop, wants_color
from tests.support import snapshots
from tests.support.snapshots import NOW


class Screen(io.StringIO):
    """What is written to a terminal, and as little of a terminal as a canvas needs."""

    def __init__(self, columns: int = 40, rows: int = 10, encoding: str = "utf-8") -> None:
        super().__init__()
        self.size = os.terminal_size((columns, rows))
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 99

    def shown(self) -> list[str]:
        """Return the lines that one would see: of an endless terminal that never breaks lines."""
        lines, row = [""], 0
        for token in re.findall(r"\x1b\[[?\d;]*[a-zA-Z]|\r|\n|[^\x1b\r\n]+", self.getvalue()):
            if token == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif token.endswith("A"):
                row -= int(token[2:-1])
                assert row >= 0
            elif token == "\x1b[J":
                del lines[row:]
                lines.append("")
            elif token[0] in "\x1b\r":
                continue
            else:
                lines[row] = token
        return lines


@pytest.fixture(autouse=True)
def sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a screen's size be asked for as a real terminal's."""
    monkeypatch.setattr(Screen, "fileno", lambda self: self)
    monkeypatch.setattr(os, "get_terminal_size", lambda stream: stream.size)


@pytest.mark.parametrize(
    ("environ", "on_terminal", "elsewhere"),
    [
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_who_gets_colours(environ: dict[str, str], on_terminal: bool, elsewhere: bool) -> None:
    assert wants_color(Screen(), environ) is on_terminal
    assert wants_color(io.StringIO(), environ) is elsewhere


def test_a_block_is_redrawn_in_its_place_and_shrinks_without_a_trace() -> None:
    screen = Screen()
    canvas = Canvas(screen)
    canvas.draw(lambda width: ["one", "two", "three"])
    canvas.draw(lambda width: ["four"])
    assert screen.shown() == ["four", ""]


def test_what_is_printed_stays_above_the_block() -> None:
    screen = Screen()
    canvas = Canvas(screen)
    canvas.draw(lambda width: ["one", "two"])
    canvas.write_above("a log line\n")
    canvas.write_above("another")
    assert screen.shown() == ["a log line", "another", "one", "two", ""]
    canvas.end()
    assert screen.shown() == ["a log line", "another", ""]
    assert screen.getvalue().endswith("\x1b[?25h"), "the cursor is shown again"


def test_a_narrower_terminal_has_broken_the_lines_that_are_redrawn() -> None:
    screen = Screen(columns=40)
    canvas = Canvas(screen)
    canvas.draw(lambda width: ["x" * width, "short", ""])
    screen.size = os.terminal_size((15, 10))
    canvas.draw(lambda width: ["y" * width])
    assert "\x1b[5A" in screen.getvalue(), "40 columns take three rows of 15"
    assert "y" * 15 in screen.getvalue()
    assert "y" * 16 not in screen.getvalue()


def test_the_block_never_fills_the_terminal_s_height() -> None:
    screen = Screen(rows=4)
    Canvas(screen).draw(lambda width: list("abcdef"))
    assert screen.shown() == ["a", "b", "c", ""]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_a_terminal_that_knows_no_blocks_gets_other_signs_within_its_width(
    encoding: str, columns: int
) -> None:
    screen = Screen(columns, 30, encoding)
    state = LiveState(
        snapshots.snapshot(pages_given_up=1),
        "fetching",
        NOW,
        1.0,
        paces=(1, 2),
        name="run 1 · a → b",
    )
    Canvas(screen, no_color=True).draw(lambda width: live_lines(state, width))
    screen.getvalue().encode(encoding)
    assert max(map(len, screen.shown())) <= columns
    assert ("█" in screen.getvalue()) is (encoding == "utf-8")
    assert "812 of 2,000 pages" in screen.getvalue()


def test_a_terminal_without_a_size_is_80_columns_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(0, 0)
    widths: list[int] = []
    Canvas(screen).draw(lambda width: [widths.append(width) or ""])  # type: ignore[func-returns-value]
    assert widths == [80]


def test_colours_are_kept_or_taken_out_but_bold_stays() -> None:
    text = f"{paint('carsync', 'strong', True)} {paint('running', 'good', True)}"
    colored, plain = Screen(), Screen()
    Canvas(colored).draw(lambda width: [text])
    Canvas(plain, no_color=True).draw(lambda width: [text])
    assert "\x1b[32m" in colored.getvalue()
    assert "\x1b[32m" not in plain.getvalue()
    assert "\x1b[1m" in plain.getvalue()


def test_letters_of_two_columns_are_counted_as_such() -> None:
    screen = Screen(columns=7)
    canvas = Canvas(screen)
    canvas.draw(lambda width: [paint("起亚汽车", "strong", True)])
    assert "\x1b[1m起亚汽\x1b[0m\x1b[K" in screen.getvalue()
    screen.size = os.terminal_size((3, 10))
    canvas.draw(lambda width: [""])
    assert "\x1b[2A" in screen.getvalue(), "six columns take two rows of three"


def test_a_letter_made_of_two_signs_takes_one_column() -> None:
    assert crop("Cite\u0301e", 4) == ("Cite\u0301", 4)


def test_the_width_of_what_is_no_terminal_is_the_usual_one() -> None:
    assert columns_of(Screen(columns=132), 80) == 132
    assert columns_of(Screen(columns=0), 80) == 80
    assert columns_of(io.StringIO(), 80) == 80
