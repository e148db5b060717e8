"""The doctor against a real PostgreSQL, a real TLS server and a real pooler."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import extensions, sql

from carsync.config.parser import parse
from carsync.config.sections import Config
from carsync.destination import migrations
from carsync.doctor import examine
from carsync.doctor.config_checks import Origin
from carsync.doctor.findings import Level
from carsync.mapping.mapper import Mapper
from carsync.postgres.wait import Connection
from carsync.state import target_lock
from carsync.state.file_lock import FileLock
from tests.conftest import TARGET, ask
from tests.support.fake_api import ScriptedApi, page_reply
from tests.support.findings import by_name, findings_of, problems
from tests.support.folders import GOLDEN_FILE
from tests.support.merge_rig import Rig

GRANTS = (
    "GRANT CREATE ON DATABASE {db} TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA carsync TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA public TO {role}",
    "GRANT ALL ON ALL TABLES IN SCHEMA carsync TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON public.cars TO {role}",
)


def config(dsn: str, text: str = "") -> Config:
    return parse(text, {"DATABASE_URL": dsn})


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
    assert problems(found) == {}
    assert found["connections"].level is Level.WARNING
    assert "8 needed" in found["connections"].seen
    assert "limit of 5" in found["connections"].seen
    assert "set database.writers: 3" in found["connections"].fix


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


def test_triggers_rules_and_a_missing_replica_identity_are_named(
    conn: Connection, dsn: str
) -> None:
    ask(
        conn,
        "CREATE TRIGGER touch BEFORE UPDATE ON cars FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    )
    assert "touch may change" in findings_of(config(dsn))["triggers"].seen
    ask(conn, "ALTER TABLE cars REPLICA IDENTITY NOTHING; CREATE PUBLICATION site FOR TABLE cars")
    assert "REPLICA IDENTITY FULL" in problems(findings_of(config(dsn)))["target table"]
    ask(conn, "CREATE RULE copy AS ON INSERT TO cars DO ALSO NOTIFY cars")
    assert 'DROP RULE "copy"' in problems(findings_of(config(dsn)))["target table"]


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
    assert "20 in the table, 20 with the same hash" in right.seen
    assert "20 of 20 cars" in other.seen


def test_a_busy_feed_is_not_asked_beyond_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with ScriptedApi() as api, FileLock(path):
        api.on("/cars", page_reply([{"id": 1}]))
        asked = parse("", {"API_BASE_URL": api.base_url})
        groups = examine.examine(asked, Origin(None), path, lambda _: None)
        assert by_name(groups, "API")["answer"].level is Level.SKIPPED
        assert by_name(groups, "this machine")["other run"].level is Level.WARNING
        assert api.arrivals == []
