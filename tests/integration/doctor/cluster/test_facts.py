"""The doctor looks at a real cluster: its certificates, scheduler and workers, and their views."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from carsync.config.sections import Config
from carsync.doctor import examine, render
from carsync.doctor.cluster import checks
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import Finding, Level
from carsync.exit_codes import ExitCode
from tests.conftest import new_database
from tests.support.authority import Authority, needs_openssl
from tests.support.fake_api import Arrival, Reply, ScriptedApi, page_reply
from tests.support.findings import by_name
from tests.support.small_cluster import SmallCluster

KEY, WRONG_KEY = "hush-key-5b1", "hush-other-77"
RECORDS = [{"id": 1, "manufacturer": {"name": "Kia"}, "lots": [{"lot": "L1"}]}]


class Cluster(NamedTuple):
    """A cluster with three workers, and what a run of it reads."""

    cluster: SmallCluster
    config: Config
    api: ScriptedApi


class KeyedApi(ScriptedApi):
    """Wants the key, as most APIs do."""

    def answer(self, arrival: Arrival) -> Reply:
        reply = super().answer(arrival)
        return reply if KEY in arrival.headers.values() else Reply(401, {"message": "no"})


@pytest.fixture(scope="module")
def site(
    server_dsn: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
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
        yield Cluster(cluster, cluster.load(path, {"API_KEY": KEY}), api)


def examined(config: Config) -> dict[str, Finding]:
    groups = examine.examine(config, Origin(None), None, lambda _: None)
    text = render.render(groups, ExitCode.OK, color=False)
    assert "hush" not in str(text)
    return by_name(groups, "cluster")


@needs_openssl
def test_a_cluster_is_examined_through_the_eyes_of_its_workers(site: Cluster) -> None:
    found = examined(site.config)
    assert [name for name in found if name in checks.CHECKS] == list(checks.CHECKS)
    wrong = {name: each.seen for name, each in found.items() if each.level is not Level.OK}
    assert wrong.keys() == {"workers"}, wrong
    assert found["workers"].level is Level.WARNING
    assert "1 process fit, 4 threads" in found["workers"].seen
    assert "its mapping or hash differs" in found["workers"].seen
    assert "it has no label a" in found["workers"].seen
