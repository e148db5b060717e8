"""`carsync report` after real syncs, and how its page looks in a real browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carsync.demo.feed import FeedOptions
from carsync.demo.server import running
from carsync.demo.simulator import SimulatorOptions
from tests.conftest import new_database
from tests.support.browser import CHROMIUM, Browser, Pixel, browser
from tests.support.oracle import KEY
from tests.support.site import CARSYNC, PAGE_SIZE, Api, Ended, SimulatedSite, ask

pytestmark = pytest.mark.quick

FEED = FeedOptions(cars=400, changed_share=0.1, added_share=0.05, removed_share=0.05)
HOSTILE = "</title><script>document.title='owned'</script><img src=http://127.0.0.1:9/x>"
LOOKS = [
    (390, True),
    (1440, False),
    *(pytest.param(*look, marks=pytest.mark.long) for look in ((390, False), (1440, True))),
]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="LOUD: chromium is not on the PATH (apt-get install chromium)"
)

WIDEST = "document.documentElement.scrollWidth"
OUTSIDE = """[...document.querySelectorAll('body *')].filter(e => {
    const box = e.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map(e => e.outerHTML.slice(0, 120))"""
"""What sticks out of the window at its sides."""
OVERLAPS = """(() => {
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    while (walk.nextNode()) {
        const range = document.createRange();
        range.selectNode(walk.currentNode);
        const around = walk.currentNode.parentElement;
        if (around.checkVisibility() && !around.closest('title, desc') && range.toString().trim())
            for (const box of range.getClientRects()) found.push([walk.currentNode.data, box]);
    }
    return found.flatMap(([a, p], i) => found.slice(i + 1).filter(([b, q]) =>
        Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1 &&
        Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 4
    ).map(([b, q]) => a + ' | ' + b));
})()"""
"""Words that stand on each other."""
SMALLEST = """Math.min(...[...document.querySelectorAll('body *')]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => parseFloat(getComputedStyle(e).fontSize)))"""
FAINT = """(() => {
    const parts = c => c.match(/[\\d.]+/g).map(Number);
    const light = c => { const [r, g, b] = parts(c).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const ground = e => { for (; e; e = e.parentElement) {
        const c = getComputedStyle(e).backgroundColor; if (parts(c)[3] !== 0) return c; }
        return 'rgb(255, 255, 255)'; };
    return [...document.querySelectorAll('body *:not(title, desc)')]
        .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .filter(e => { const style = getComputedStyle(e), svg = e.closest('svg.chart');
            const pair = [light(svg ? style.fill : style.color), light(ground(e))].sort();
            return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5; })
        .map(e => e.outerHTML.slice(0, 120));
})()"""
"""Words with less contrast than 4.5 to 1 (WCAG 2.1, success criterion 1.4.3)."""
CHARTS = """[...document.querySelectorAll('svg.chart')].map(chart => {
    const box = chart.getBoundingClientRect();
    const marks = [...chart.querySelectorAll('path.line, rect')];
    return {title: chart.querySelector('title').textContent,
        box: {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height},
        colors: [...new Set(marks.map(e => getComputedStyle(e)[
            e.tagName === 'path' ? 'stroke' : 'fill']))]};
})"""


class Told:
    """A site after a first sync and one of a feed that moved on, and the report of the second."""

    def __init__(self, site: SimulatedSite) -> None:
        self.site = site
        site.sync()
        ask(
            site.dsn,
            "UPDATE cars SET data_hash = 'old', price = price "
            "* CASE WHEN id::int % 20 = 0 THEN 2 ELSE 0.5 END WHERE id::int % 10 = 0 AND price > 0",
        )
        # Those that the feed lists no more keep it.
        ask(site.dsn, "UPDATE cars SET title = %s", (HOSTILE,))
        self.before = self.prices()
        site.api.change(error_share=0.15, snapshot=1)
        site.api.show(1)
        self.synced = site.sync(limits__requests_per_second=10, limits__burst=4)
        self.after = self.prices()
        self.run_id = self.synced.report["run_id"]
        self.file = site.folder / "report.html"
        self.made = self.report("-o", str(self.file))
        self.html = self.file.read_text(encoding="utf-8")

    def prices(self) -> dict[str, float]:
        """Return the prices that the table tells: id → price."""
        found = ask(self.site.dsn, "SELECT id, price::float8 FROM cars WHERE price > 0")
        return dict(found)

    def moves(self, direction: int) -> list[tuple[str, float, float]]:
        """Return the ten largest moves of the price in one direction: id, old and new."""
        moved = [
            (id_, old, self.after[id_])
            for id_, old in self.before.items()
            if (self.after.get(id_, old) - old) * direction > 0
        ]
        return sorted(moved, key=lambda move: (-abs(move[2] - move[1]), move[0]))[:10]

    def report(self, *arguments: str) -> Ended:
        """Run `carsync report` of the second sync."""
        return self.site.run("report", str(self.run_id), *arguments)


@pytest.fixture(scope="module")
def told(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    """The site and its report; the table's second sync took three seconds and met errors."""
    api = Api(SimulatorOptions(feed=FEED, key=KEY, page_size=PAGE_SIZE))
    with new_database(server_dsn, template) as dsn, running(api) as server:
        site = SimulatedSite(server, api, dsn, tmp_path_factory.mktemp("report"))
        site.settings["acceptance.max_error_rate"] = None
        site.settings["sync.deactivate.second_proof"] = "none"  # no requests but the pages'
        yield Told(site)
        site.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One page of a real browser."""
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


def test_the_report_tells_what_the_sync_did(told: Told) -> None:
    assert (told.made.exit_code, told.made.out) == (0, "")
    assert told.file.name in told.made.err
    data: dict[str, Any] = json.loads(told.report("--json").out)
    counts = told.synced.counts
    assert data["counts"].items() <= told.synced.report["counts"].items()
    assert data["changes"]["counts"] == {
        name: counts[name] for name in ("inserted", "updated", "deactivated")
    }
    prices = next(moves for moves in data["changes"]["prices"] if moves["column"] == "price")
    for name, direction in (("up", 1), ("down", -1)):
        listed = [(move["id"], move["old"], move["new"]) for move in prices[name]]
        assert listed == told.moves(direction)
        assert len(listed) > 5
    columns = dict(data["changes"]["columns"])
    changed = [id_ for id_, old in told.before.items() if told.after[id_] != old]
    assert columns["price"] == len(changed)
    assert "data_hash" not in columns
    assert data["errors"] == told.synced.report["figures"]["errors"]
    assert data["errors"]["server_error"] > 0
    assert data["failed_pages"]
    assert len(data["points"]) >= 3
    for number in (counts["inserted"], counts["updated"], counts["deactivated"]):
        assert f"<dd>{number:,}<small>" in told.html


def test_the_feed_cannot_write_into_the_page(told: Told) -> None:
    assert "<script" not in told.html
    assert "<img" not in told.html
    assert "&lt;script&gt;" in told.html


def test_the_same_page_goes_to_standard_output(told: Told) -> None:
    printed = told.report("-o", "-")
    moment = re.compile(r"Made <time>.*?</time>")
    assert moment.sub("", printed.out) == moment.sub("", told.html)
    assert told.html.startswith("<!doctype html>")
    assert told.html.endswith("</html>\n")


def test_a_revert_and_the_run_that_it_took_back_tell_of_each_other(told: Told) -> None:
    done = told.site.run("revert", str(told.run_id), "--yes")
    assert done.exit_code == 0, done
    (by,) = ask(told.site.dsn, "SELECT max(run_id) FROM carsync.runs")[0]
    assert f"Run {by} took back what it did." in told.report("-o", "-").out
    page = told.site.run("report", str(by), "-o", "-").out
    assert f"takes back what run {told.run_id} did" in page
    assert "Revert" in page
    assert "Taken out again: 10 of" in page


def test_a_full_disk_behind_standard_output_is_no_bug(told: Told) -> None:
    command = [*CARSYNC, "report", str(told.run_id), "-o", "-"]
    environ = {**os.environ, **told.site.variables}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environ, timeout=60
        )
    assert done.returncode == 2
    assert "no space left on device" in done.stderr


@needs_chromium
@pytest.mark.parametrize(("width", "dark"), LOOKS)
def test_the_page_is_legible(told: Told, chromium: Browser, width: int, dark: bool) -> None:
    chromium.requests.clear()
    chromium.open(told.file, width, dark=dark)
    assert chromium.evaluate("document.title").startswith(f"carsync run {told.run_id}")
    assert chromium.requests == [told.file.as_uri()]
    assert chromium.evaluate(WIDEST) == width
    assert chromium.evaluate(OUTSIDE) == []
    assert chromium.evaluate(OVERLAPS) == []
    assert chromium.evaluate(SMALLEST) >= 12
    assert chromium.evaluate(FAINT) == []
    charts = chromium.evaluate(CHARTS)
    assert len(charts) == 6
    if width > 600:
        return  # the same drawings
    for chart in charts:
        seen = colors(chromium.picture(chart["box"]))
        assert chart["colors"], chart["title"]
        for color in chart["colors"]:
            red, green, blue = map(int, re.findall(r"\d+", color)[:3])
            assert seen.get((red, green, blue), 0) >= 20, f"{chart['title']}: no {color}"


def colors(picture: list[list[Pixel]]) -> dict[Pixel, int]:
    found: dict[Pixel, int] = {}
    for row in picture:
        for pixel in row:
            found[pixel] = found.get(pixel, 0) + 1
    return found
