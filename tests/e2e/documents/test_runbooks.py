"""The drills: each trouble is really made, and its runbook is followed to the end.

Every runbook runs first without --yes, which must change nothing, then with it; both times
what it says is held against its page.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from psycopg2.extensions import parse_dsn

from carsync.demo.feed import FeedOptions
from carsync.destination.migrations import load_migrations
from tests.e2e.conftest import Fill, OpenSite
from tests.support.oracle import KEY
from tests.support.releases import make_environment, make_wheel
from tests.support.runbook_runner import CONFIG, Operator, assert_as_on_the_page
from tests.support.site import CARSYNC, Running, SimulatedSite, ask, await_that

pytestmark = pytest.mark.quick

FEED = FeedOptions(cars=200, changed_share=0.05, added_share=0.05, removed_share=0.2)


@pytest.fixture
def site(open_site: OpenSite) -> SimulatedSite:
    """A site with 200 cars in 10 pages; 40 of them go with each snapshot."""
    return open_site(FEED)


@pytest.fixture
def operator(site: SimulatedSite) -> Operator:
    """The operator of the site."""
    return Operator(site)


def _begin(operator: Operator, pages: int) -> Running:
    """Start a sync that stands still after so many pages."""
    site = operator.site
    site.api.hold(after=pages)
    running = site.start("sync", "--config", CONFIG)
    site.await_checkpoint(lambda state: state.pages_done == pages, f"{pages} pages in it")
    return running


def test_a_run_that_is_stuck_is_stopped_and_resumed(operator: Operator) -> None:
    site = operator.site
    running = _begin(operator, 4)
    assert_as_on_the_page("stuck", "--after 600", operator.open("stuck", "--after", "600"))
    running.signal(signal.SIGSTOP)
    stopped = psutil.Process(running.process.pid)
    assert_as_on_the_page("stuck", "", operator.refuse("stuck"))
    assert stopped.status() == psutil.STATUS_STOPPED

    site.api.release()
    site.api.reset()
    assert_as_on_the_page("stuck", "--yes", operator.open("stuck", "--yes"))
    assert running.end().exit_code == 143
    site.assert_exact()
    assert len(site.api.pages_read()) <= site.pages() - 4, "what was staged was not read again"


def test_a_run_that_died_is_resumed_once_the_cause_is_gone(operator: Operator) -> None:
    site = operator.site
    running = _begin(operator, 4)
    os.kill(running.process.pid, signal.SIGKILL)
    running.end()
    site.await_no_process()
    site.api.release()
    wrong = operator.open("failed", "--yes", expect=3, at={"API_KEY": "an-old-key"})
    assert_as_on_the_page("failed", "--yes  # the key was revoked", wrong)
    assert site.rows() == []

    assert_as_on_the_page("failed", "", operator.refuse("failed"))
    site.api.reset()
    assert_as_on_the_page("failed", "--yes", operator.open("failed", "--yes"))
    site.assert_exact()


def test_held_deactivations_are_looked_at_and_approved(operator: Operator, fill: Fill) -> None:
    site = operator.site
    fill(site)
    site.api.show(1)
    site.sync(expect=6)
    gone = site.truth(0).keys() - site.truth(1).keys()
    assert_as_on_the_page("held", "", operator.refuse("held"))
    assert_as_on_the_page("held", "--yes", operator.open("held", "--yes"))
    assert site.inactive() == gone


@pytest.mark.quick(False)
def test_a_throttled_run_asks_slower(operator: Operator) -> None:
    site = operator.site
    site.api.change(rate=5, burst=5)
    site.api.reset()
    site.sync()
    status = site.status()
    assert status["errors"]["rate_limited"] > 0
    assert status["slowed"]["by"] == "HTTP 429"
    assert_as_on_the_page("throttled", "", operator.refuse("throttled"))
    slower = operator.open("throttled", "--rate", "5", "--yes")
    assert_as_on_the_page("throttled", "--rate 5 --yes", slower)
    assert "rate_limited" not in site.status()["errors"]


def test_a_page_that_fails_every_night_is_named(operator: Operator) -> None:
    site = operator.site
    site.api.change(broken_share=0.1)
    (broken,) = site.api.truth()["broken_pages"]
    site.sync(expect=5)
    assert_as_on_the_page("failed", f" # page {broken} fails", operator.refuse("failed"))


def test_a_new_api_key_is_put_in_place_once_it_works(operator: Operator) -> None:
    site = operator.site
    old, new = "old-" + KEY, KEY
    file = site.folder / "carsync.env"
    file.write_text(f"RPS=0\nAPI_KEY={old}\n# the end\n")
    file.chmod(0o640)
    site.variables["API_KEY"] = old
    words = ("api-key", "carsync.env", "--new-from", "-")
    wrong = operator.open("rotate-keys", *words, "--yes", stdin="wrong-key\n", expect=3)
    assert_as_on_the_page("rotate-keys", "api-key carsync.env  # a wrong one", wrong)
    assert old in file.read_text()
    looked = operator.open("rotate-keys", *words, stdin=new, expect=10)
    assert old in file.read_text()
    done = operator.open("rotate-keys", *words, "--yes", stdin=new)
    assert_as_on_the_page("rotate-keys", "api-key carsync.env", done)
    assert file.read_text() == f"RPS=0\nAPI_KEY={new}\n# the end\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert not list(site.folder.glob(".new-secret*"))
    for said in (wrong, looked, done):
        assert not {old, new, "wrong-key"} & set(said.out.replace(":", " ").split())
        assert old not in said.out
        assert new not in said.out


def test_a_stale_car_is_refreshed(operator: Operator, fill: Fill, tmp_path: Path) -> None:
    site = operator.site
    operator.configure("api.window.param", "minutes")
    fill(site)
    site.api.show(1)
    old, new = site.truth(0), site.truth(1)
    car = min(id_ for id_ in old.keys() & new.keys() if old[id_] != new[id_])
    assert car == "7000018", "the page shows this one"
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(
        '#!/bin/sh\ncase "$1 $3" in\n'
        '"is-active carsync.timer") ;;\n'
        "is-active*) exit 3 ;;\n"
        'list-timers*) echo "NEXT LEFT LAST PASSED UNIT"; echo "3:00 carsync.timer" ;;\nesac\n'
    )
    systemctl.chmod(0o755)
    host = {"PATH": f"{systemctl.parent}:{os.environ['PATH']}"}
    assert_as_on_the_page("stale", f"--car {car}", operator.refuse("stale", "--car", car, at=host))
    done = operator.open("stale", "--car", car, "--yes", at=host)
    assert_as_on_the_page("stale", f"--car {car} --yes", done)
    assert site.active()[car] == new[car]


def test_a_first_load_takes_nobody_off_the_site(operator: Operator) -> None:
    site = operator.site
    ask(site.dsn, "DROP SCHEMA carsync CASCADE")
    ask(
        site.dsn,
        "INSERT INTO public.cars (id, source_api, is_active) VALUES ('7', 'external', true)",
    )
    assert_as_on_the_page("backfill", "", operator.refuse("backfill"))
    assert ask(site.dsn, "SELECT to_regnamespace('carsync')") == [(None,)]
    assert_as_on_the_page("backfill", "--yes", operator.open("backfill", "--yes"))
    assert site.active() == {**site.truth(), "7": None}


def test_a_move_to_another_host_never_lets_two_write(operator: Operator, tmp_path: Path) -> None:
    site = operator.site
    calls = tmp_path / "calls"
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(f'#!/bin/sh\n[ "$1" = cat ] || echo "$@" >>{calls}\n')
    systemctl.chmod(0o755)
    old = {"PATH": f"{systemctl.parent}:{os.environ['PATH']}"}
    new = {**old, "XDG_STATE_HOME": str(tmp_path / "new")}
    running = _begin(operator, 4)
    assert "is in progress" in operator.open("move-host", "leave", "--yes", expect=10, at=old).out
    two = operator.open("move-host", "arrive", "--yes", expect=75, at=new)
    assert_as_on_the_page("move-host", "arrive  # too early", two)
    assert not calls.exists()

    running.signal(signal.SIGTERM)
    site.api.release()
    assert running.end().exit_code == 143
    no = operator.answer("move-host", "leave", says="n", at=old)
    assert (no.exit_code, calls.exists()) == (10, False)
    assert "Nothing was changed" in no.out
    yes = operator.answer("move-host", "leave", says="y", at=old)
    assert yes.exit_code == 0
    assert_as_on_the_page("move-host", "leave", yes)
    assert calls.read_text() == "disable --now carsync.timer\n"

    operator.refuse("move-host", "arrive", at=new)
    site.api.reset()
    arrived = operator.open("move-host", "arrive", "--yes", at=new)
    assert_as_on_the_page("move-host", "arrive --yes", arrived)
    site.assert_exact()
    assert len(site.api.pages_read()) <= site.pages() - 4 + 2, "two probes; the rest is resumed"
    assert calls.read_text().endswith("enable --now carsync.timer\n")


@pytest.fixture
def password_of_a_role(dsn: str) -> Iterator[str]:
    """A role that PostgreSQL lets in by password only, and its connection string, without one."""
    role = f"rotated_{os.getpid()}"
    ((rules,),) = ask(dsn, "SELECT pg_read_file(current_setting('hba_file'))")

    def let_in(text: str) -> None:
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        ((place,),) = ask(dsn, "SELECT current_setting('hba_file')")
        ask(dsn, f"COPY (SELECT unnest(%s)) TO '{place}'", (lines,))
        ask(dsn, "SELECT pg_reload_conf()")

    ask(dsn, f"CREATE ROLE {role} LOGIN PASSWORD 'old''s @1'")
    let_in(f"local all {role} scram-sha-256\nhost all {role} all scram-sha-256\n{rules}")
    yield role
    let_in(rules)
    ask(dsn, f"DROP ROLE {role}")


def test_a_new_database_password_is_put_in_place_once_it_works(
    operator: Operator, password_of_a_role: str
) -> None:
    site, role = operator.site, password_of_a_role
    parts = parse_dsn(site.dsn)
    host = quote(parts["host"], safe="")
    file = site.folder / "database_url"
    url = f"postgresql://{role}:{{}}@/{parts['dbname']}?host={host}&port={parts.get('port', '')}"
    old, new = (quote(word, safe="") for word in ("old's @1", "new/'2 %"))
    file.write_text(url.format(old) + "\n")
    file.chmod(0o600)
    site.variables["DATABASE_URL"] = url.format(old)
    words = ("database-password", "database_url", "--new-from", "-", "--yes")
    operator.open("rotate-keys", *words, stdin="new/'2 %\n", expect=4)
    assert file.read_text() == url.format(old) + "\n", "the database does not know it yet"
    ask(site.dsn, f"ALTER ROLE {role} PASSWORD 'new/''2 %%'", ())
    done = operator.open("rotate-keys", *words, stdin="new/'2 %\n")
    assert_as_on_the_page("rotate-keys", "database-password database_url", done)
    assert file.read_text() == url.format(new) + "\n"
    assert "2 %" not in done.out
    assert "%20" not in done.out


def test_cars_that_vanished_are_found_and_brought_back(operator: Operator, fill: Fill) -> None:
    site = operator.site
    fill(site)
    before = site.rows_by_id()
    site.api.show(1)  # the feed lost 40 cars, and carsync was told to believe it
    site.sync(sync__deactivate__max_share=1, sync__deactivate__second_proof="none")
    gone = site.inactive()
    after = site.rows_by_id()
    touched, other, *_ = sorted(gone)
    ask(site.dsn, "UPDATE public.cars SET title = 'by hand' WHERE id = %s", (touched,))

    looked = operator.refuse("cars-vanished")
    assert_as_on_the_page("cars-vanished", "", looked)
    assert [
        line["run_id"] for line in site.run("runs", "--car", other, "--json").report["changes"]
    ] == [2, 1]
    done = operator.open("cars-vanished", "--car", other, "--yes")
    assert_as_on_the_page("cars-vanished", f"--car {other} --yes", done)
    assert site.inactive() == {touched}
    back = {car: before[car] for car in gone - {touched}}
    now = site.rows_by_id()
    assert {**after, **back, touched: now[touched]} == now


def test_a_change_of_the_hash_is_counted_before_it_rewrites(operator: Operator) -> None:
    site = operator.site
    operator.configure("mapping.hash.algorithm", "md5")
    site.sync("--config", CONFIG)
    operator.configure("mapping.hash.algorithm", "xxh3_128")
    assert_as_on_the_page("rehash", "", operator.refuse("rehash"))
    assert_as_on_the_page("rehash", "--yes", operator.open("rehash", "--yes"))
    site.assert_exact()


def _copy_database(server_dsn: str, name: str, copy: str) -> None:
    ask(server_dsn, f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)')
    ask(server_dsn, f'CREATE DATABASE "{copy}" TEMPLATE "{name}"')


def test_a_database_from_a_backup_catches_up(
    operator: Operator, server_dsn: str, fill: Fill
) -> None:
    site = operator.site
    operator.configure("sync.deactivate.max_share", 1)
    name = parse_dsn(site.dsn)["dbname"]
    backup = f"{name}_backup"
    fill(site)
    ask(site.dsn, "CREATE TABLE public.dump AS TABLE public.cars")
    await_that(lambda: not site.sessions(), "the end of all sessions")
    _copy_database(server_dsn, name, backup)
    try:
        site.api.show(1)
        site.sync("--config", CONFIG)
        _copy_database(server_dsn, backup, name)
        site.assert_exact(0)
        assert_as_on_the_page("restored", "", operator.refuse("restored"))
        assert_as_on_the_page("restored", "--yes", operator.open("restored", "--yes"))
        site.assert_exact(1)
    finally:
        ask(server_dsn, f'DROP DATABASE "{backup}" WITH (FORCE)')
    # Now the table alone: rows as they were, and a schema that knows better.
    ask(site.dsn, "TRUNCATE public.cars")
    ask(site.dsn, "INSERT INTO public.cars SELECT * FROM public.dump")
    alone = operator.refuse("restored").said
    assert "the table alone" in alone
    assert "10 new, 10 changed, 0 reactivated, 40 deactivated" in alone


@pytest.mark.quick(False)
def test_the_previous_release_is_put_back(operator: Operator, tmp_path: Path, fill: Fill) -> None:
    site = operator.site
    newest = load_migrations()[-1].version
    old = make_wheel(tmp_path, "0.0.9", without_migration=newest)
    installed = make_environment(tmp_path / "venv", make_wheel(tmp_path, "0.2.0"))
    CARSYNC[:], usual = [str(installed)], list(CARSYNC)
    try:
        site.sync()
        before = site.rows()
        site.api.show(1)
        site.sync(sync__deactivate__max_share=1)
        words = ("--wheel", str(old), "--revert", "2")
        unready = operator.refuse("rollback", *words)
        assert "auto_migrate: false" in unready.out
        operator.configure("database.auto_migrate", False)
        done = operator.open("rollback", *words, "--yes")
        assert_as_on_the_page("rollback", "--wheel FILE --revert 2 --yes", done)
        assert site.rows() == before

        refused = site.run("sync")
        assert refused.exit_code == 4
        assert "migrated by a newer carsync" in refused.said
        site.sync("--config", CONFIG, sync__deactivate__max_share=1)
        site.assert_exact(1)
    finally:
        CARSYNC[:] = usual
