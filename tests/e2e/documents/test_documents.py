"""Every command in the documents is run, as a reader types it; every link leads somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.conftest import OpenSite
from tests.support import document_runner
from tests.support.document_runner import ELSEWHERE
from tests.support.fake_api import Reply, ScriptedApi
from tests.support.folders import ROOT
from tests.support.site import CARSYNC, INHERITED, SimulatedSite
from tests.support.small_cluster import free_port

GIVEN = {"systemd": ("prod.yaml", "north.yaml"), "cluster": ("prod.yaml",)}
"""Configurations that the reader of a page has already."""
DEALER_PAGES, DEALER_PAGE_SIZE = 12, 20
SUPABASE = "postgresql://postgres.PROJECT:PASSWORD@aws-0-REGION.pooler.supabase.com:5432/postgres"


def _placeholders(site: SimulatedSite, dealer: ScriptedApi) -> dict[str, str]:
    """Return what stands for the words in capitals and the example hosts of the documents."""
    return {
        "https://api.example.com/api": site.variables["API_BASE_URL"],
        "https://dealer.example.com": dealer.base_url,
        "API_KEY=…": f"API_KEY={site.variables['API_KEY']}",
        "postgresql://USER:PASSWORD@HOST:5432/DB": '"$THE_DATABASE"',
        f"'{SUPABASE}'": '"$THE_DATABASE"',
        "127.0.0.1:8786": f"127.0.0.1:{free_port()}",
        "sudo ": "",
        "install-systemd install": f"install-systemd install --prefix {site.folder}/root "
        "--no-package --yes",
        " /etc/": f" {site.folder}/root/etc/",
        ">/etc/": f">{site.folder}/root/etc/",
    }


def _list_dealer_s_cars(api: ScriptedApi) -> None:
    """Serve the feed of the tutorial: 240 cars in 12 pages, of a shape of its own."""
    for page in range(1, DEALER_PAGES + 1):
        numbers = range(1001 + DEALER_PAGE_SIZE * (page - 1), 1001 + DEALER_PAGE_SIZE * page)
        items = [
            {
                "ref": f"A-{number}",
                "brand": {"name": "Kia"},
                "model": "Rio",
                "year": 2015 + number % 10,
                "title": f"Kia Rio {2015 + number % 10}",
                "price": {"amount": f"{number * 10}.00", "currency": "EUR"},
                "mileage_km": number * 40,
                "fuel": "petrol",
                "photos": [f"https://img.example.com/{number}-1.jpg"],
            }
            for number in numbers
        ]
        count = DEALER_PAGES * DEALER_PAGE_SIZE
        body = {"count": count, "pages": DEALER_PAGES, "items": items}
        api.on("/v2/listings", Reply(body=body), page=page)
        if page == 1:
            api.on("/v2/listings", Reply(body=body))


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=() if page.stem == "README" else pytest.mark.long)
        for page in document_runner.pages()
    ],
)
def test_every_command_of_a_page_does_what_it_says(
    page: Path, open_site: OpenSite, scripted_api: ScriptedApi
) -> None:
    site = open_site()
    _list_dealer_s_cars(scripted_api)
    clone = site.folder / "clone"  # so that what the page writes goes nowhere else
    clone.mkdir()
    for name in ("bin", "carsync", "config", "docs", "pyproject.toml", "setup.cfg", "sql"):
        (clone / name).symlink_to(ROOT / name)
    for name in GIVEN.get(page.stem, ()):
        text = (ROOT / "config" / "prod.yaml").read_text()
        window = "api:\n  window: {param: minutes}\n"  # the page's second timer needs one
        (clone / name).write_text(text.replace("api:\n", window, 1))
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    variables = {**inherited, **site.variables}
    variables["THE_DATABASE"] = site.dsn
    for given in ("API_BASE_URL", "API_KEY", "DATABASE_URL", "PAGE_SIZE"):
        del variables[given]  # the page itself says where they come from
    variables["PATH"] = f"{Path(CARSYNC[0]).parent}:{variables['PATH']}"
    ended = subprocess.run(
        ["bash", "-c", document_runner.script(page, _placeholders(site, scripted_api))],
        env=variables,
        cwd=clone,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    assert "Traceback" not in ended.stderr


def test_the_commands_of_a_pipeline_stand_side_by_side() -> None:
    scripts = [document_runner.script(page, {}).splitlines() for page in document_runner.pages()]
    after_a_pipe = [
        line for script in scripts for one, line in pairwise(script) if one.endswith("|")
    ]
    assert after_a_pipe
    assert not [line for line in after_a_pipe if "── " in line], "it would swallow the data"


def test_what_is_held_elsewhere_is_held_there() -> None:
    lines = [line for page in document_runner.pages() for line in document_runner.commands(page)]
    for start, holder in ELSEWHERE.items():
        assert any(line.text.startswith(start) for line in lines), f"{start!r} is in no document"
        name, _, test = holder.partition("::")
        assert (ROOT / name).exists() or test in globals()


@pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemd is not installed")
def test_what_systemd_is_asked_it_understands() -> None:
    shipped = {path.name for path in (ROOT / "config" / "systemd").iterdir()}
    for page in document_runner.pages():
        for line in document_runner.commands(page):
            words = shlex.split(line.text.removeprefix("sudo ").rstrip("|").strip())
            if words[0] not in {"systemctl", "journalctl", "systemd-creds"}:
                continue
            told = subprocess.run([words[0], "--help"], capture_output=True, text=True).stdout
            options = [word for word in words[1:] if word.startswith("-")]
            rest = [word for word in words[1:] if not word.startswith("-")]
            for option in options:
                assert re.search(rf"(^|\s){option.partition('=')[0]}\b", told), line
            if words[0] != "journalctl":
                assert re.search(rf"^\s+{re.escape(rest[0])}\b", told, re.MULTILINE), line
            units = [word for word in rest if word.endswith((".service", ".timer"))]
            assert {re.sub("@.*[.]", "@.", unit) for unit in units} <= shipped, line


def test_every_link_between_documents_leads_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", *ROOT.glob("*/**/*.md")]:
        if any(part.startswith(".") for part in page.relative_to(ROOT).parts):
            continue
        for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", page.read_text("utf-8")):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            if not there.exists() or (anchor and anchor not in _anchors(there)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_every_document_is_found_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        seen.add(page)
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+\.md)", page.read_text("utf-8")):
            there = (page.parent / target).resolve()
            if there.exists() and there not in seen:
                todo.append(there)
    documents_there = {*ROOT.glob("docs/**/*.md"), *ROOT.glob("bin/*.md")}
    assert documents_there <= seen


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
