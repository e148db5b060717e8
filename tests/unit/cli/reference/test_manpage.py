"""The manual page is roff that groff takes without a word."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from carsync.cli.reference.commandtree import Block, Entry
from carsync.cli.reference.documents import documents
from carsync.cli.reference.manpage import man_page
from tests.support.folders import ROOT

MADE = documents(ROOT / "docs")


def test_the_manual_page_is_ascii_in_short_lines_and_has_no_stray_command() -> None:
    lines = MADE["carsync.1"].splitlines()
    assert MADE["carsync.1"].isascii()
    macros = {line.split()[0] for line in lines if line.startswith(".")}
    known = {".TH", ".SH", ".SS", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi", ".br"}
    assert macros <= {*known, '.\\"'}
    assert not any(line.startswith("'") for line in lines)


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_the_manual_page_renders_without_a_warning() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=80n"],
        input=MADE["carsync.1"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    struck_twice = re.compile(".\b")  # how groff prints bold
    assert "EXIT STATUS" in struck_twice.sub("", done.stdout)


def test_lines_to_type_stay_lines_and_words_in_back_ticks_are_bold() -> None:
    group = Entry("carsync", "", (Block("Keep it."),), ())
    code = Block("Example:", (".x -y", "z"))
    entry = Entry("carsync x", "[OPTIONS]", (Block("See `a-b`."), code), (("-a, --all", "All."),))
    page = man_page([group, entry])
    assert "\ncarsync \\- keep it\n" in page
    assert "\nSee \\fBa\\-b\\fR.\n" in page
    assert "\n.nf\n\\&.x \\-y\nz\n.fi\n" in page
    assert "\n.TP\n\\fB\\-a\\fR, \\fB\\-\\-all\\fR\nAll.\n" in page
