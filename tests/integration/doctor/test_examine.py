"""The doctor against a real PostgreSQL, a real TLS server and a real pooler."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions, sql

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.destination import migrations
from carsync.doctor import examine, feed_facts, machine_facts, server_facts
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import Finding, Group, Level
from carsync.mapping.mapper import Mapper
from carsync.postgres.connection import Connection
from carsync.state import target_lock
from carsync.state.file_lock import FileLock
from tests.conftest import TARGET, ask
from tests.e2e.faults.test_pgbouncer import PROGRAM, pgbouncer
from tests.support.fake_api import DrippingServer, ScriptedApi, page_reply
from tests.support.folders import GOLDEN_FILE
from tests.support.merge_rig import Rig

OPENSSL = shutil.which("openssl")
GRANTS = (
    "GRANT CREATE ON DATABASE {db} TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA carsync TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA public TO {role}",
    "GRANT ALL ON ALL TABLES IN SCHEMA carsync TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON public.cars TO {role}",
)


def config(dsn: str, text: str = "") -> Config:
    return parse(text, {"DATABASE_URL": dsn})


def findings_of(config: Config) -> dict[str, Finding]:
    """Give the database's findings by name; each name once."""
    groups = examine.examine(config, Origin(None), None, lambda _: None)
    return by_name(groups, "database", "tables")


def by_name(groups: list[Group], *titles: str) -> dict[str, Finding]:
    found = [f for group in groups if group.title in titles for f in group.findings]
    names = [finding.name for finding in found]
    assert len(names) == len(set(names)), names
    return {finding.name: finding for finding in found}


def problems(found: dict[str, Finding]) -> dict[str, str]:
    return {n: f"{f.seen} → {f.fix}" for n, f in found.items() if f.level is Level.PROBLEM}


# ── roles ────────────────────────────────────────────────────────────────────


@pytest.fixture
def role(dsn: str) -> Iterator[str]:
    """The connection string of a role with no more than the grants it needs."""
    name = f"doctor_{extensions.parse_dsn(dsn)['dbname']}"
    with closing(psycopg2.connect(dsn)) as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            quoted = sql.Identifier(name)
            cur.execute(sql.SQL("CREATE ROLE {} LOGIN").format(quoted))
            try:
                db = sql.Identifier(extensions.parse_dsn(dsn)["dbname"])
                for grant in GRANTS:
                    cur.execute(sql.SQL(grant).format(role=quoted, db=db))
                yield extensions.make_dsn(dsn, user=name)
            finally:
                cur.execute(sql.SQL("DROP OWNED BY {}").format(quoted))
                cur.execute(sql.SQL("DROP ROLE {}").format(quoted))


LACKING = [
    ("REVOKE USAGE ON SCHEMA carsync FROM {}", "schema carsync", "GRANT USAGE"),
    ("REVOKE CREATE ON SCHEMA carsync FROM {}", "schema carsync", "GRANT CREATE"),
    ("REVOKE UPDATE ON carsync.runs FROM {}", "schema carsync", "UPDATE on runs"),
    ("REVOKE DELETE ON carsync.rejects FROM {}", "schema carsync", "DELETE on rejects"),
    ("REVOKE SELECT ON public.cars FROM {}", "target table", "GRANT SELECT"),
    ("REVOKE INSERT ON public.cars FROM {}", "target table", "GRANT INSERT"),
    ("REVOKE UPDATE ON public.cars FROM {}", "target table", "GRANT UPDATE"),
    ("ALTER TABLE public.cars DROP COLUMN vin", "new columns", "does not own"),
    ("ALTER TABLE public.cars ENABLE ROW LEVEL SECURITY", "target table", "BYPASSRLS"),
]


def test_each_missing_grant_and_row_security_is_named_with_its_remedy(
    conn: Connection, role: str
) -> None:
    name = f'"{extensions.parse_dsn(role)["user"]}"'
    database = f'"{extensions.parse_dsn(role)["dbname"]}"'
    assert problems(findings_of(config(role))) == {}
    for revoke, check, words in LACKING:
        for grant in GRANTS[1:]:
            ask(conn, grant.format(role=name, db=database))
        ask(conn, revoke.format(name))
        found = problems(findings_of(config(role)))
        assert check in found, (revoke, found)
        assert words in found[check], revoke


def test_settings_and_limits_of_the_role_are_seen(conn: Connection, role: str) -> None:
    name = f'"{extensions.parse_dsn(role)["user"]}"'
    ask(conn, f"ALTER ROLE {name} SET statement_timeout = '2min'")
    ask(conn, f"ALTER ROLE {name} SET default_transaction_read_only = on")
    ask(conn, f"ALTER ROLE {name} CONNECTION LIMIT 5")
    found = findings_of(config(role))
    assert "statement_timeout 120 s" in found["role settings"].seen
    assert "default_transaction_read_only on" in found["role settings"].seen
    assert found["role settings"].level is Level.OK, "a run's sessions override both"
    assert list(problems(found)) == ["connections"]
    assert "8 needed" in found["connections"].seen
    assert "limit of 5" in found["connections"].seen


def test_an_empty_database_needs_what_the_first_run_creates(empty_dsn: str) -> None:
    assert problems(findings_of(config(empty_dsn))) == {}
    elsewhere = findings_of(config(empty_dsn, "database: {schema: shop}"))
    assert problems(elsewhere) == {
        "target schema": "there is no schema shop → CREATE SCHEMA shop, as its owner"
    }
    name = f"doctor_{extensions.parse_dsn(empty_dsn)['dbname']}"
    with closing(psycopg2.connect(empty_dsn)) as conn:
        conn.autocommit = True
        ask(conn, f'CREATE ROLE "{name}" LOGIN')
        try:
            lone = problems(findings_of(config(extensions.make_dsn(empty_dsn, user=name))))
            assert "GRANT CREATE ON DATABASE" in lone["schema carsync"]
            assert "GRANT CREATE ON SCHEMA public" in lone["target schema"]
            made = "SELECT count(*) FROM pg_namespace WHERE nspname = 'carsync'"
            assert ask(conn, made) == [(0,)], "the doctor changes nothing"
        finally:
            ask(conn, f'DROP ROLE "{name}"')


def test_the_doctors_session_cannot_write(dsn: str) -> None:
    with (
        server_facts.read_only(config(dsn)) as session,
        pytest.raises(psycopg2.errors.ReadOnlySqlTransaction),
    ):
        ask(session, "INSERT INTO public.cars (id) VALUES ('1')")


# ── tables ───────────────────────────────────────────────────────────────────


def test_versions_of_the_schema_are_told_apart(conn: Connection, dsn: str) -> None:
    newest = migrations.load_migrations()[-1].version
    assert findings_of(config(dsn))["migrations"].seen == "none pending"
    ask(conn, "DELETE FROM carsync.migrations WHERE version = %s", newest)
    off = "database: {auto_migrate: false}"
    assert "1 migration pending" in findings_of(config(dsn))["migrations"].seen
    assert "carsync migrate" in problems(findings_of(config(dsn, off)))["migrations"]
    ask(conn, "INSERT INTO carsync.migrations (version, name, checksum) VALUES (999, 'x', 'y')")
    assert "upgrade carsync" in problems(findings_of(config(dsn)))["migrations"]


def test_a_held_lock_an_unfinished_run_and_a_changed_scheme_are_seen(
    conn: Connection, dsn: str
) -> None:
    rig = Rig(conn)
    rig.sync([])
    rig.begin()
    assert target_lock.try_acquire(conn, TARGET)
    found = findings_of(config(dsn))
    assert found["lock"].level is Level.WARNING
    assert "carsync tests" in found["lock"].seen
    assert found["hashes"].level is Level.WARNING
    assert "rewritten once" in found["hashes"].seen
    ask(conn, "SELECT pg_advisory_unlock_all()")
    assert f"run {rig.run.run_id} is unfinished" in findings_of(config(dsn))["lock"].seen


def test_the_first_page_tells_an_adopter_which_hashes_the_table_has(
    conn: Connection, dsn: str
) -> None:
    records = [case["record"] for case in json.loads(GOLDEN_FILE.read_text())[:20]]
    text = "mapping: {hash: {algorithm: md5}}"
    mapper = Mapper.load(config(dsn, text))
    for row in mapper.map_array(json.dumps(records).encode()).rows:
        insert = "INSERT INTO public.cars (id, data_hash, source_api) VALUES (%s, %s, 'external')"
        ask(conn, insert, row[1], row[-1])
    with ScriptedApi() as api:
        api.on("/cars", page_reply(records))
        variables = {"DATABASE_URL": dsn, "API_BASE_URL": api.base_url, "API_KEY": "k"}
        wrong = findings_of(parse("", variables))["hashes"]
        right = findings_of(parse(text, variables))["hashes"]
        other = findings_of(parse(f"{text}\nsync: {{source: other}}", variables))["source"]
    assert wrong.level is Level.WARNING
    assert "mapping.hash.algorithm: md5, by which 20 are the same" in wrong.fix
    assert right.level is Level.OK
    assert "20 are in the table, 20 with the same hash" in right.seen
    assert "20 of 20 cars" in other.seen


# ── poolers ──────────────────────────────────────────────────────────────────


@pytest.mark.skipif(PROGRAM is None, reason="LOUD: pgbouncer is not on the PATH")
def test_poolers_are_told_apart_and_their_client_limit_is_tried(dsn: str) -> None:
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    with pgbouncer(dsn, "transaction") as through:
        found = findings_of(config(through))
        assert "transaction mode" in problems(found)["endpoint"]
        assert found["endpoint"].exit_code == 2, "as `carsync sync` ends"
        assert found["version"].level is Level.SKIPPED
        with closing(psycopg2.connect(through)) as conn:
            (limit,) = ask(conn, "SHOW lock_timeout")[0]
        assert limit == "0", "nothing was set in the pool's sessions"
    with pgbouncer(dsn, "session") as through:
        found = findings_of(config(through))
        assert problems(found) == {}
        assert "a pooler in session mode" in found["endpoint"].seen
        assert "gave all 8" in found["connections"].seen
    with pgbouncer(dsn, "session", pool_size=4) as through:
        found = findings_of(config(through, "database: {connect_timeout_s: 1}"))
        assert "gave 4 connections of the 8" in problems(found)["connections"]
    with closing(psycopg2.connect(dsn)) as conn:
        assert ask(conn, held) == [(0,)]


def test_a_server_that_refuses_or_says_nothing_is_reported_in_time(dsn: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        mute = "database: {connect_timeout_s: 0.5}"
        found = findings_of(config(f"postgresql://u:hush@127.0.0.1:{port}/x", mute))
        assert "timeout" in problems(found)["login"]
    found = findings_of(config(f"postgresql://u:hush@127.0.0.1:{port}/x"))
    assert "is PostgreSQL running" in problems(found)["address"]
    assert found["schema carsync"].level is Level.SKIPPED
    nobody = findings_of(config(extensions.make_dsn(dsn, user="nobody_here")))
    assert "nobody_here" in problems(nobody)["login"]
    assert "hush" not in str(found)


# ── TLS ──────────────────────────────────────────────────────────────────────

AUTHORITY = """
[ca]
default_ca = own
[own]
new_certs_dir = {folder}
database = {folder}/index
serial = {folder}/serial
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = IP:127.0.0.1
[req]
distinguished_name = none
[none]
"""


def certificate(folder: Path, until: str) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1, valid from 2020 `until` a moment."""
    (folder / "cnf").write_text(AUTHORITY.format(folder=folder))
    (folder / "index").write_text("")
    (folder / "serial").write_text("01")
    key, wish, made = folder / "key", folder / "wish", folder / f"{until}.pem"

    def openssl(*words: str | Path) -> None:
        command = [str(OPENSSL), *map(str, words), "-config", str(folder / "cnf")]
        subprocess.run(command, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-new", *curve, "-keyout", key, "-out", wish, "-subj", "/CN=doctor")
    dates = ("-startdate", "20200101000000Z", "-enddate", until)
    openssl("ca", "-batch", "-selfsign", "-in", wish, "-keyfile", key, "-out", made, *dates,
            "-notext")  # fmt: skip
    return made, key


class SecureApi(ScriptedApi):
    """The scripted API over TLS."""

    def __init__(self, made: Path, key: Path) -> None:
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made, key)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.base_url = self.base_url.replace("http:", "https:")


def examine_api(api: ScriptedApi, more: str = "", **variables: str) -> dict[str, Finding]:
    environ = {"API_BASE_URL": api.base_url, "API_KEY": "hush-key", **variables}
    groups = examine.examine(parse(more, environ), Origin(None), None, lambda _: None)
    return by_name(groups, "API")


@pytest.mark.skipif(OPENSSL is None, reason="LOUD: openssl is not on the PATH")
def test_certificates_are_verified_as_a_run_does_and_failures_explained(tmp_path: Path) -> None:
    made, key = certificate(tmp_path, "20991231000000Z")
    trusting = f"api: {{ca_bundle: '{made}'}}"
    with SecureApi(made, key) as api:
        api.on("/cars", page_reply([{"id": 1}]))
        found = examine_api(api)
        assert "self-signed" in found["TLS"].seen
        assert "api.ca_bundle" in found["TLS"].fix
        assert api.arrivals == [], "no key goes to a host that is not who it says"
        found = examine_api(api, trusting)
        assert found["TLS"].level is Level.OK
        _, port, _ = feed_facts.host_of(api.base_url)
        other = feed_facts.read_certificate("localhost", port, str(made), 2)
        assert "ostname mismatch" in other.error
        assert "certificate by doctor" in found["TLS"].seen
        assert len(api.arrivals) == 1
        missing = examine_api(api, "api: {ca_bundle: /nowhere.pem}")["TLS"]
        assert "api.ca_bundle cannot be read" in missing.seen
    made, key = certificate(tmp_path, "20210101000000Z")
    with SecureApi(made, key) as api:
        found = examine_api(api, f"api: {{ca_bundle: '{made}'}}")
        assert "expired" in found["TLS"].seen
        assert found["answer"].level is Level.SKIPPED


def test_one_request_judges_key_shape_and_mapping(tmp_path: Path) -> None:
    records = [case["record"] for case in json.loads(GOLDEN_FILE.read_text())[:20]]
    records[3] = {**records[3], "manufacturer": None, "echo": "hush-key"}
    with ScriptedApi() as api:
        api.on("/cars", page_reply(records, last_page=2, total=40))
        found = examine_api(api, PAGE_SIZE="20")
        assert [arrival.headers["x-api-key"] for arrival in api.arrivals] == ["hush-key"]
        assert found["mapping"].level is Level.WARNING
        assert found["mapping"].seen.startswith("19 of 20 records become rows: make: missing")
        assert found["totals"].seen == "2 pages, 40 records"
        named = examine_api(api, "api: {pagination: {records: cars}}")
        assert "{records: data, total_pages: meta.last_page" in named["records"].fix
        api.on("/cars", page_reply(records))
        assert "hush-key" not in str(examine_api(api))


def test_an_answer_that_drips_for_ever_ends_with_its_deadline() -> None:
    waits = "api: {timeout: {connect_s: 0.4, read_s: 5, total_s: 0.5}}"
    with DrippingServer(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.02) as url:
        asked = parse(waits, {"API_BASE_URL": url})
        groups = examine.examine(asked, Origin(None), None, lambda _: None)
    found = by_name(groups, "API")
    assert found["answer"].level is Level.PROBLEM
    assert "total_s (0.5 s)" in found["answer"].seen


def test_a_busy_feed_is_not_asked_beyond_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with ScriptedApi() as api, FileLock(path):
        api.on("/cars", page_reply([{"id": 1}]))
        asked = parse("", {"API_BASE_URL": api.base_url})
        groups = examine.examine(asked, Origin(None), path, lambda _: None)
        assert by_name(groups, "API")["answer"].level is Level.SKIPPED
        assert by_name(groups, "this machine")["other run"].level is Level.WARNING
        assert api.arrivals == []


# ── the machine ──────────────────────────────────────────────────────────────


def test_the_state_folder_is_really_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    assert machine_facts.gather(state / "x.json").write_error is None
    assert machine_facts.gather(tmp_path / "not" / "yet" / "x.json").write_error is None
    assert list(tmp_path.rglob("*")) == [state]
    (tmp_path / "file").write_text("")
    facts = machine_facts.gather(tmp_path / "file" / "x.json")
    assert facts.write_error is not None
    assert "set checkpoint.path" in facts.write_error.hint
    (state / "x.json").write_text("{broken")
    assert machine_facts.gather(state / "x.json").read_error is not None
    assert facts.open_files is None or facts.open_files > 0
    assert facts.available_bytes is None or facts.available_bytes > 0


def test_a_dripping_handshake_ends_in_time() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        found = feed_facts.read_certificate("127.0.0.1", port, None, 0.3)
    assert "timed out" in found.error
