"""The templates of the report's page."""

from __future__ import annotations

from carsync.reporting.html.templates import read_template


def test_the_page_and_its_style_are_shipped() -> None:
    assert "{{ style | safe }}" in read_template("report.html")
    assert ".badge" in read_template("report.css")
