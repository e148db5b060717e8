"""Exit codes: each has a meaning and a next step, in every view the same."""

from __future__ import annotations

import re

import pytest

from carsync.exit_codes import ADVICE, ExitCode, advise
from tests.support.folders import ROOT


def test_every_code_has_its_meaning_and_next_step() -> None:
    assert set(ADVICE) == set(ExitCode)
    for code in ExitCode:
        advice = advise(code)
        assert advice is ADVICE[code]
        assert advice.meaning
        assert advice.next_step


def test_the_codes_are_those_that_scripts_rely_on() -> None:
    codes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 75, 130, 143]
    assert [int(code) for code in ExitCode] == codes


@pytest.mark.parametrize("code", [9, 137, -9])
def test_a_code_of_nobodys_is_an_end_that_can_be_resumed(code: int) -> None:
    assert advise(code).meaning == "ended in an unknown way"
    assert "it resumes" in advise(code).next_step


def test_the_readme_has_every_exit_code_with_its_meaning() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in readme.splitlines() if re.match(r"\| \d", line)]
    table = {int(code): words for codes, words in rows for code in codes.split(",")}
    assert table.keys() == {code.value for code in ADVICE}
    for code, advice in ADVICE.items():
        assert all(word in table[code] for word in advice.meaning.split()), code
