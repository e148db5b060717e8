"""Roles that are set up against us, lack a grant, or see half of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
from psycopg2 import extensions, sql

from tests.e2e.conftest import GROWN, OpenSite
from tests.support import effort
from tests.support.oracle import Oracle
from tests.support.site import SimulatedSite, ask

pytestmark = pytest.mark.quick

GRANTS = (
    "GRANT CREATE ON DATABASE {db} TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA carsync TO {role}",
    "GRANT USAGE, CREATE ON SCHEMA public TO {role}",
    "GRANT ALL ON ALL TABLES IN SCHEMA carsync TO {role}",
    "GRANT ALL ON ALL SEQUENCES IN SCHEMA carsync TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON public.cars TO {role}",
)


@contextmanager
def role(site: SimulatedSite) -> Iterator[str]:
    """Give a role with no more than the grants it needs; the site connects as it."""
    name = f"carsync_role_{extensions.parse_dsn(site.dsn)['dbname']}"
    with closing(psycopg2.connect(site.dsn)) as conn:
        conn.autocommit = True
        with conn.cursor() as cur:
            quoted = sql.Identifier(name)
            cur.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(quoted))
            try:
                for grant in GRANTS:
                    database = sql.Identifier(extensions.parse_dsn(site.dsn)["dbname"])
                    cur.execute(sql.SQL(grant).format(role=quoted, db=database))
                site.variables["DATABASE_URL"] = extensions.make_dsn(site.dsn, user=name)
                yield name
            finally:
                cur.execute(sql.SQL("DROP OWNED BY {}").format(quoted))
                cur.execute(sql.SQL("DROP ROLE {}").format(quoted))


HOSTILE_SETTINGS = {
    "statement_timeout": "2s",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "DateStyle": "German, DMY",
    "TimeZone": "Asia/Seoul",
    "IntervalStyle": "sql_standard",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "search_path": "evil, public, pg_catalog",
    "extra_float_digits": "-15",
    "quote_all_identifiers": "on",
}
EVIL = """
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql
    AS $$ SELECT '1999-01-01'::timestamptz $$;
CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql
    AS $$ SELECT '1999-01-01'::timestamptz $$;
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil'::text $$;
CREATE FUNCTION evil.set_config(text, text, boolean) RETURNS text LANGUAGE sql
    AS $$ SELECT 'evil'::text $$;
CREATE FUNCTION evil.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT true $$;
CREATE FUNCTION evil.to_regclass(text) RETURNS regclass LANGUAGE sql AS $$ SELECT NULL::regclass $$;
CREATE TABLE evil.pg_stat_activity (nothing text)
"""
SLOW = """
CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_catalog.pg_sleep(2.5); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER UPDATE ON public.cars FOR EACH STATEMENT EXECUTE FUNCTION public.slow()
"""


def test_a_role_whose_settings_are_hostile_syncs_exactly(grown_site: SimulatedSite) -> None:
    """Its statement_timeout is 2 s, and the merge's UPDATE takes longer."""
    site = grown_site
    ask(site.dsn, EVIL)
    ask(site.dsn, SLOW)
    with role(site) as name:
        for setting, value in HOSTILE_SETTINGS.items():
            quoted = value if setting == "search_path" else f"'{value}'"
            ask(site.dsn, f'ALTER ROLE "{name}" SET {setting} = {quoted}')
        oracle = Oracle(site, snapshots=(0, 1))
        ended = site.sync()
        oracle.judge(ended)
        assert {"inserted", "updated", "deactivated"} <= ended.counts.keys()
        site.api.reset()
        assert oracle.recover().counts.keys() == {"seen", "unchanged"}


@pytest.mark.long
def test_a_role_in_replica_mode_syncs_exactly(grown_site: SimulatedSite) -> None:
    """session_replication_role = replica: no trigger, no foreign key is at work."""
    with role(grown_site) as name:
        ask(grown_site.dsn, f'ALTER ROLE "{name}" SET session_replication_role = replica')
        oracle = Oracle(grown_site, snapshots=(0, 1))
        oracle.judge(grown_site.sync())


REVOKED = [
    ("REVOKE USAGE ON SCHEMA carsync FROM {}", "carsync"),
    ("REVOKE CREATE ON SCHEMA carsync FROM {}", "carsync"),
    ("REVOKE UPDATE ON carsync.runs FROM {}", "runs"),
    ("REVOKE ALL ON carsync.absences FROM {}", "absences"),
    ("REVOKE SELECT ON public.cars FROM {}", "SELECT"),
    ("REVOKE INSERT ON public.cars FROM {}", "INSERT"),
    ("ALTER TABLE public.cars ENABLE ROW LEVEL SECURITY", "row-level security"),
]
if effort.is_long:  # each goes the way of one above
    REVOKED[:0] = [
        ("REVOKE ALL ON carsync.runs FROM {}", "runs"),
        ("REVOKE ALL ON carsync.rejects FROM {}", "rejects"),
        ("REVOKE UPDATE ON public.cars FROM {}", "UPDATE"),
    ]


def test_each_missing_grant_ends_the_run_with_its_name_and_nobody_gone(
    grown_site: SimulatedSite,
) -> None:
    site = grown_site
    with role(site) as name:
        oracle = Oracle(site, snapshots=(0, 1))
        for revoke, word in REVOKED:
            for grant in GRANTS[1:]:
                ask(site.dsn, grant.format(role=f'"{name}"'))
            ask(site.dsn, revoke.format(f'"{name}"'))
            ended = site.sync(expect=4)
            report = ended.report
            assert word in report["problem"] + report["detail"], revoke
            assert report["hint"], revoke
            oracle.judge(ended)
        ask(site.dsn, "ALTER TABLE public.cars DISABLE ROW LEVEL SECURITY")
        oracle.recover()


@pytest.mark.long
def test_a_role_that_may_not_create_temporary_tables_syncs(grown_site: SimulatedSite) -> None:
    database = extensions.parse_dsn(grown_site.dsn)["dbname"]
    ask(grown_site.dsn, f'REVOKE TEMP ON DATABASE "{database}" FROM PUBLIC')
    with role(grown_site):
        oracle = Oracle(grown_site, snapshots=(0, 1))
        oracle.judge(grown_site.sync())


def test_a_role_that_may_not_create_the_schema_is_told_so(
    open_site: OpenSite, empty_dsn: str
) -> None:
    site = open_site(GROWN, dsn=empty_dsn)
    name = f"carsync_role_{extensions.parse_dsn(site.dsn)['dbname']}"
    ask(site.dsn, f'CREATE ROLE "{name}" LOGIN')
    try:
        site.variables["DATABASE_URL"] = extensions.make_dsn(site.dsn, user=name)
        ended = site.sync(expect=4)
        assert "permission denied for database" in ended.report["detail"]
        assert "CREATE on the database" in ended.report["hint"]
        assert site.api.log == []
    finally:
        ask(site.dsn, f'DROP ROLE "{name}"')


@pytest.mark.quick(False)
def test_a_role_of_few_sessions_syncs_with_the_writers_that_fit(
    grown_site: SimulatedSite,
) -> None:
    site = grown_site
    site.variables["PARALLEL_BATCHES"] = "6"
    with role(site) as name:
        ask(site.dsn, f'ALTER ROLE "{name}" CONNECTION LIMIT 1')
        ended = site.sync(expect=4)
        assert "database.writers" in ended.report["hint"]
        assert site.api.log == [], "the API is not asked by a run that cannot write"
        ask(site.dsn, f'ALTER ROLE "{name}" CONNECTION LIMIT 5')
        ended = site.sync()
        assert "5 sessions at once" in ended.said
        assert "set database.writers: 3" in ended.said
        site.assert_exact(1)
