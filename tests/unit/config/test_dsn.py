"""Connection strings: names that never change, servers as libpq finds them, nothing of a secret."""

from __future__ import annotations

import contextlib
import os

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from carsync.config.dsn import check_dsn, places, target_name
from carsync.config.parser import parse
from carsync.errors import ConfigError


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


# The name of a target


def test_the_name_of_a_target_tells_databases_apart_and_ignores_the_password() -> None:
    name = target_name("postgresql://carsync:one@db.example.com:5432/shop", "public", "cars")
    same = target_name("postgresql://carsync:t%2Fwo@db.example.com:5432/shop", "public", "cars")
    assert same == name
    others = {
        target_name(dsn, "public", "cars")
        for dsn in (
            "postgresql://carsync@db.example.com:5432/other",
            "postgresql://carsync@db2.example.com:5432/shop",
            "postgresql://carsync@db.example.com:6432/shop",
            "postgresql://postgres.project2@db.example.com:5432/shop",
        )
    }
    assert len(others | {name}) == 5


@pytest.mark.parametrize(
    "dsn",
    [
        "host=/run/pg port=5432 dbname=shop user=carsync password='a b'",
        "host = /run/pg port = 5432 dbname = shop user = carsync",
        "postgresql://carsync@/shop?host=/run/pg&port=5432",
    ],
)
def test_keyword_strings_and_urls_of_one_database_give_one_name(dsn: str) -> None:
    expected = "public.cars-" + xxhash.xxh3_64_hexdigest(b"carsync\n/run/pg\n5432\nshop")[:8]
    assert target_name(dsn, "public", "cars") == expected


def test_an_unreadable_dsn_still_gives_a_name() -> None:
    assert target_name("host='unclosed", "public", "cars").startswith("public.cars-")


@pytest.mark.parametrize(
    ("dsn", "digest"),
    [
        ("postgresql://u:secret@db:5432/shop", "a580e028"),
        ("postgres://u:secret@db:5432/shop", "a580e028"),
        ("postgresql://u@db/shop", "dc7bccfe"),
        ("postgresql://db/shop", "e1aa0da8"),
        ("postgresql://db", "a30aba2e"),
        ("postgresql://u:p@db:5432/", "659a1d76"),
        ("postgresql://u:p@db:5432", "659a1d76"),
        ("postgresql:///shop", "d1813f8d"),
        ("postgresql://", "b94e340f"),
        ("postgresql://u:@db:5432/shop", "a580e028"),
        ("postgresql://:p@db:5432/shop", "c70c7865"),
        ("postgresql://u:p@DB.Example.com:5432/Shop", "9c89fcd3"),
        ("postgresql://postgres.abcd:p@aws-0-eu.pooler.supabase.com:5432/postgres", "adb53d07"),
        (
            "postgresql://postgres:p%2Fw%401@db.abcd.supabase.co:5432/postgres?sslmode=require",
            "0c1d5511",
        ),
        ("postgresql://u%40corp:p@db:5432/my%20shop", "e351e3ed"),
        ("postgresql://u%2fx:p@db/a%2db", "0687fde4"),
        ("postgresql://a+b:p@db/x+y", "95ec6924"),
        ("postgresql://ü:p@db/größe", "2656e6b1"),
        ("postgresql://u:p@h1:5432,h2:5433/shop", "d43c02d6"),
        ("postgresql://u:p@h1,h2:5433/shop?target_session_attrs=read-write", "b07a33fc"),
        ("postgresql://u:p@h1,h2/shop?port=6543", "1eef61e5"),
        ("postgresql://u:p@db/shop?port=6543", "0d61333b"),
        ("postgresql://u:p@db:1/shop?port=6543", "e436996d"),
        ("postgresql://u:p@[::1]:5432/shop", "4e43c232"),
        ("postgresql://u:p@[2001:db8::7]/shop", "14fbceb7"),
        ("postgresql://u:p@[fe80::1%25eth0]:5432/shop", "7a58fc7e"),
        ("postgresql://u:p@%2Frun%2Fpostgresql/shop", "1bdd7337"),
        ("postgresql://u:p@/shop?host=/run/postgresql", "da418be1"),
        ("postgresql:///shop?host=/run/postgresql&port=5433&user=u&password=p", "1ef2f163"),
        ("postgresql://u@/shop?host=%2Frun%2Fpostgresql", "da418be1"),
        ("postgresql://postgres:@/postgres?host=/tmp/a@b", "307a998a"),
        ("postgresql://u:p@db?dbname=shop", "dc7bccfe"),
        ("host=db port=5432 user=u password=p dbname=shop", "7edfaad8"),
        ("host = db  port = 5432 user = u password = p dbname = shop", "7edfaad8"),
        ("dbname=shop", "d1813f8d"),
        ("user=u", "df8293e6"),
        ("", "b94e340f"),
        ("hostaddr=192.0.2.1 user=u dbname=shop", "be2f649b"),
        ("host=db hostaddr=192.0.2.1 user=u dbname=shop", "dc7bccfe"),
        ("host=/run/postgresql dbname=shop user=u", "da418be1"),
        ("host=h1,h2 port=1,2 user=u dbname=shop", "617e5923"),
        ("host=::1 user=u dbname=shop", "65d24def"),
        ("host=db user=u password='a b' dbname='my shop'", "4f2172f8"),
        ("host=db user=o\\'brien dbname=my\\ shop", "5fb3abc6"),
        ("host=db user='' dbname=shop", "e1aa0da8"),
        ("host=db dbname=shop sslmode=require connect_timeout=5", "e1aa0da8"),
    ],
)
def test_a_name_is_what_it_was_for_every_way_to_write_a_dsn(dsn: str, digest: str) -> None:
    """Checkpoint files and fingerprints hold these names: as computed before libpq read DSNs."""
    assert target_name(dsn, "public", "cars") == f"public.cars-{digest}"


@pytest.mark.parametrize(
    "dsn",
    [
        "mysql://u:hush@db/shop",
        "jdbc:postgresql://db/shop?password=hush",
        "postgresql+psycopg2://u:hush@db/shop",
        "Postgres://u:hush@db/shop",
        "https://abcd.supabase.co/hush",
    ],
)
def test_the_address_of_another_database_is_not_told_to_percent_encode(dsn: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_dsn(dsn)
    assert "is not a connection string for PostgreSQL" in caught.value.problem
    assert "percent" not in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "variables"),
    [
        ("postgresql:///shop", {"PGHOST": "db.example.com"}),
        ("postgresql:///shop", {"PGUSER": "u"}),
        ("host=db user=u", {"PGDATABASE": "shop"}),
        ("host=db user=u", {"PGPORT": "6432"}),
        ("", {"PGSERVICE": "one"}),
        ("service=one", {"PGHOST": "db.example.com"}),
        ("dbname=shop", {"PGHOSTADDR": "192.0.2.1"}),
    ],
)
def test_what_libpq_takes_from_a_variable_is_a_part_of_the_name(
    monkeypatch: pytest.MonkeyPatch, dsn: str, variables: dict[str, str]
) -> None:
    before = target_name(dsn, "public", "cars")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert target_name(dsn, "public", "cars") != before


@pytest.mark.parametrize("parameter", ["host", "hostaddr", "user", "dbname", "port"])
@pytest.mark.parametrize("dsn", ["postgresql:///", "postgresql://u:p@/shop"])
def test_a_url_s_query_is_a_part_of_the_name(dsn: str, parameter: str) -> None:
    names = {target_name(f"{dsn}?{parameter}={n}", "public", "cars") for n in (1, 2)}
    assert len(names | {target_name(dsn, "public", "cars")}) == 3


def test_services_and_sources_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = "postgresql://u@db:5432/shop"
    names = {
        target_name(dsn, "public", "cars"),
        target_name(dsn, "public", "cars", "korea"),
        target_name(dsn, "public", "cars", "japan"),
        target_name("service=one", "public", "cars"),
        target_name("service=two", "public", "cars"),
    }
    assert len(names) == 5
    monkeypatch.setenv("PGSERVICE", "one")
    assert target_name("service=one", "public", "cars") in names


# The servers


def test_hosts_and_ports_are_read_from_every_kind_of_connection_string() -> None:
    assert places("postgresql://u:p@db.test:6543/x") == [("db.test", 6543)]
    assert places("postgresql://u:p@a:1,b:2/x") == [("a", 1), ("b", 2)]
    assert places("postgresql://u@[::1]:5433/x") == [("::1", 5433)]
    assert places("postgresql://u@[::1]/x") == [("::1", 5432)]
    assert places("host=h port=99 user=u") == [("h", 99)]
    assert places("postgresql://u@/x?host=/run/pg&port=7") == [("/run/pg", 7)]


@pytest.mark.parametrize(
    ("dsn", "found"),
    [
        ("postgresql://u:p@%2Frun%2Fpostgresql/x", [("/run/postgresql", 5432)]),
        ("postgresql://u@[fe80::1%25eth0]:5433/x", [("fe80::1%eth0", 5433)]),
        ("postgresql://a:1,b/x", [("a", 1), ("b", 5432)]),
        ("postgresql://a,b/x?port=7", [("a", 7), ("b", 7)]),
        ("host=a,b,::1 port=1,2,3", [("a", 1), ("b", 2), ("::1", 3)]),
        ("hostaddr=192.0.2.1", [("192.0.2.1", 5432)]),
        ("dbname=x", [("", 5432)]),
        ("", [("", 5432)]),
    ],
)
def test_each_server_is_found_with_its_port(dsn: str, found: list[tuple[str, int]]) -> None:
    assert places(dsn) == found


def test_variables_of_libpq_stand_in_for_what_the_dsn_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGHOST", "a,b")
    monkeypatch.setenv("PGPORT", "6543")
    assert places("dbname=x") == [("a", 6543), ("b", 6543)]
    assert places("postgresql://c/x") == [("c", 6543)]
    assert places("postgresql://c:1/x") == [("c", 1)]
    monkeypatch.setenv("PGPORT", "none")
    assert places("dbname=x") == [("a", 5432), ("b", 5432)]


# What is refused


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://postgres:[hunter2]@127.0.0.1:5432/postgres",
        "postgresql://u:hunter2@[bad/x",
        "postgres://u:hunter2/p@127.0.0.1:1/x",
        "postgresql://u:ab@hunter2@127.0.0.1:1/x",
        "postgresql://u:hunter2#x@127.0.0.1:1/x",
        "hunter2",
    ],
)
def test_a_connection_string_that_would_be_misread_is_refused_unseen(dsn: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("", {"DATABASE_URL": dsn})
    assert "hunter2" not in str(caught.value)
    assert "percent-encoded" in str(caught.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:p%40ss@db.example.com:5432/shop?sslmode=require",
        "postgresql://u@h1:5432,h2:5433/x",
        "postgresql://u:p@[::1]:5432/x",
        "postgresql:///x?host=/var/run/postgresql",
        "postgresql://postgres:@/postgres?host=/tmp/a@b",
        "host=127.0.0.1 dbname=x password=a@b/c",
    ],
)
def test_sound_connection_strings_pass(dsn: str) -> None:
    assert parse("", {"DATABASE_URL": dsn}).require_dsn().reveal() == dsn


@pytest.mark.parametrize(
    "dsn",
    [
        "host=h password='hunter2",
        "host=h password=a hunter2",
        "host=h hunter2=x",
        "postgresql://u:p@h/x?hunter2=1",
        "postgresql://u:hunter2%zz@h/x",
        "postgresql://u:1/hunter2@h/x",
        "postgresql://u:1?hunter2@h/x",
        "postgresql://h:hunter2/x",
        "host=h port=hunter2",
        "host=h password=hunter2\udcff",
    ],
)
def test_what_libpq_cannot_read_is_refused_unseen(dsn: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_dsn(dsn)
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


@given(st.text() | st.text("postgresql://:@/?#[]%=&, '\\a1\0\ud800").map("postgres://".__add__))
def test_no_text_breaks_what_reads_it(text: str) -> None:
    assert target_name(text, "public", "cars").startswith("public.cars-")
    assert places(text)
    with contextlib.suppress(ConfigError):
        check_dsn(text)
