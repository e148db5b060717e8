"""The doctor looks at a real cluster: its certificates, scheduler and workers, and their views."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from carsync.config.sections import ClusterTls, Config, Database
from carsync.doctor import examine, render
from carsync.doctor.cluster import checks
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import Finding, Level
from carsync.engine.cluster_tls import shake_hands
from carsync.engine.dask import examination
from carsync.exit_codes import ExitCode
from carsync.redaction import Secret
from tests.conftest import new_database
from tests.support.authority import Authority, needs_openssl
from tests.support.fake_api import Arrival, Reply, ScriptedApi, page_reply
from tests.support.findings import by_name, problems
from tests.support.small_cluster import SmallCluster, free_port

KEY, WRONG_KEY = "hush-key-5b1", "hush-other-77"
RECORDS = [{"id": 1, "manufacturer": {"name": "Kia"}, "model": {"name": "Rio"}}]


class Site(NamedTuple):
    """What a run of a cluster with three workers has, and certificates that are refused."""

    config: Config
    api: ScriptedApi
    other_dsn: str
    expired: dict[str, str]
    foreign: dict[str, str]
    strangers: dict[str, str]
    half: dict[str, str]
    no_file: dict[str, str]


class KeyedApi(ScriptedApi):
    """Wants the key, as most APIs do."""

    def answer(self, arrival: Arrival) -> Reply:
        reply = super().answer(arrival)
        return reply if KEY in arrival.headers.values() else Reply(401, {"message": "no"})


@pytest.fixture(scope="module")
def site(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """One worker fits with label a, one has label b and a wrong key, one another mapping."""
    folder = tmp_path_factory.mktemp("cluster")
    authority = Authority(folder / "tls")
    with (
        KeyedApi() as api,
        new_database(server_dsn, template) as dsn,
        SmallCluster(folder, "tls") as cluster,
    ):
        api.on("/cars", page_reply(RECORDS))
        settings = {
            "api": {"base_url": api.base_url, "record": None},
            "database": {"dsn": dsn},
            "limits": {"concurrency": 4},
        }
        mine = {"tls": authority.issue("driver"), "label": "a"}
        path = cluster.write("run", {**settings, "engine": mine})
        host = {**settings, "engine": {"tls": authority.issue("host")}}
        own = cluster.write("host", host)
        other = cluster.write("other", {**host, "mapping": {"hash": {"fields": ["make"]}}})
        short = authority.issue("short", 3)
        soon = cluster.write("soon", {**settings, "engine": {"tls": short}})
        cluster.start("scheduler", "listens at", "scheduler", "--config", own)
        one = ("--processes", "1", "--threads", "4")
        for name, file, key in (("a", own, KEY), ("b", soon, WRONG_KEY), ("c", other, KEY)):
            words = ("worker", "--config", file, "--label", name, *one)
            cluster.start(name, "is at work", *words, API_KEY=key)
        stranger = Authority(folder / "strangers")
        theirs = stranger.issue("stranger")
        both = folder / "both.pem"
        both.write_text(Path(authority.ca).read_text() + Path(stranger.ca).read_text())
        yield Site(
            cluster.load(path, {"API_KEY": KEY}),
            api,
            server_dsn,
            expired=authority.issue("expired", -1),
            foreign={**theirs, "ca": authority.ca},
            strangers=theirs,
            half={**theirs, "ca": str(both)},
            no_file={**theirs, "cert": str(folder / "none")},
        )


def examined(config: Config) -> dict[str, Finding]:
    groups = examine.examine(config, Origin(None), None, lambda _: None)
    text = render.render(groups, ExitCode.OK, color=False)
    assert "hush" not in str(text)
    return by_name(groups, "cluster")


def altered(config: Config, **engine: Any) -> Config:
    return replace(config, engine=replace(config.engine, **engine))


@needs_openssl
def test_a_cluster_is_examined_through_the_eyes_of_its_workers(site: Site) -> None:
    arrived = len(site.api.arrivals)
    found = examined(site.config)
    assert [name for name in found if name in checks.CHECKS] == list(checks.CHECKS)
    wrong = {name: each.seen for name, each in found.items() if each.level is not Level.OK}
    assert wrong.keys() == {"workers"}, wrong
    assert found["workers"].level is Level.WARNING
    assert "1 worker fits, 4 threads" in found["workers"].seen
    assert "1 for other feeds or labels" in found["workers"].seen
    assert "its mapping or hash differs" in found["workers"].seen
    assert site.api.arrivals[-1].page in {1, None}
    assert len(site.api.arrivals) - arrived <= 8


@needs_openssl
def test_what_a_worker_alone_has_wrong_is_told_with_its_name(site: Site) -> None:
    other_database = replace(site.config.database, dsn=Secret(site.other_dsn))
    found = examined(replace(altered(site.config, label="b"), database=other_database))
    assert problems(found).keys() == {"their API", "their database"}
    assert "401" in found["their API"].seen
    assert found["their API"].exit_code is ExitCode.API
    assert "another database" in found["their database"].seen
    assert found["their files"].level is Level.WARNING
    assert "2 days more" in found["their files"].seen
    nobody = problems(examined(altered(site.config, label="z")))
    assert list(nobody) == ["workers"]
    assert "it has no label z" in nobody["workers"]


@needs_openssl
@pytest.mark.parametrize(
    ("tls", "check", "words"),
    [
        ("expired", "certificate", "has expired → make a new certificate"),
        ("foreign", "certificate", "issuer certificate → it was made by another authority"),
        ("strangers", "scheduler", "self-signed certificate in certificate chain → it was made by"),
        ("no_file", "cluster", "engine.tls.cert cannot be read"),
    ],
)
def test_a_certificate_that_is_refused_is_named_in_words(
    site: Site, tls: str, check: str, words: str
) -> None:
    mine = getattr(site, tls)
    found = examined(altered(site.config, tls=ClusterTls(**mine)))
    assert list(problems(found)) == [check]
    assert words in problems(found)[check]
    assert found["workers"].level is Level.SKIPPED


@needs_openssl
def test_a_scheduler_that_is_none_is_named(site: Site) -> None:
    nobody = examined(altered(site.config, scheduler=f"tcp://127.0.0.1:{free_port()}"))
    assert "connection refused" in problems(nobody)["scheduler"]
    port = urlsplit(site.api.base_url).port
    secured = examined(altered(site.config, scheduler=f"tls://127.0.0.1:{port}"))
    assert "no TLS there" in problems(secured)["scheduler"]


@needs_openssl
def test_a_scheduler_that_trusts_another_authority_says_so(site: Site) -> None:
    """Our side trusts both authorities; the scheduler does not trust ours."""
    where = urlsplit(site.config.engine.scheduler or "")
    assert where.hostname is not None
    assert where.port is not None
    seen = shake_hands(where.hostname, where.port, ClusterTls(**site.half), 5)
    assert seen.refused == "tlsv1 alert unknown ca"


def test_nobody_is_kept_from_a_schema_that_the_first_run_will_make(empty_dsn: str) -> None:
    config = Config(database=Database(dsn=Secret(empty_dsn)))
    before = examination.try_database(config, "")
    assert (before.error, before.may_stage) == ("", True)
    assert examination.try_database(config, before.role).may_stage
