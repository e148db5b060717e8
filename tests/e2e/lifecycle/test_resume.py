"""Which unfinished run is taken up again, and which is not, and why."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import LeaveUnfinished
from tests.support.oracle import Oracle
from tests.support.site import SimulatedSite, ask, await_that

pytestmark = pytest.mark.quick


def _assert_started_anew(site: SimulatedSite) -> None:
    site.assert_exact()
    assert sorted(site.api.pages_read()) == list(range(1, site.pages() + 1))
    states = ask(site.dsn, "SELECT state FROM carsync.runs ORDER BY run_id")
    assert states == [("abandoned",), ("complete",)]
    leftovers = ask(
        site.dsn,
        r"SELECT relname FROM pg_class WHERE relname ~ '^(staging|ledger|delta)_\d' "
        "AND relkind = 'r'",
    )
    assert leftovers == []


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("api.params", {"sort": "id"}, "the feed's settings changed"),
        ("mapping.columns", {"vin": {"path": "vin"}}, "the mapping or its hash changed"),
    ],
)
def test_a_run_of_another_making_is_not_mixed_in(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished, key: str, value: object, reason: str
) -> None:
    leave_unfinished(site)
    site.settings[key] = value
    ended = site.sync()
    _assert_started_anew(site)
    assert f"run 1 is not resumed: {reason}" in ended.said
    assert any(reason in note for note in ended.report["notes"])


def test_a_run_of_another_source_is_left_alone(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished
) -> None:
    leave_unfinished(site)
    ended = site.sync(sync__source="elsewhere")
    assert sorted(site.api.pages_read()) == list(range(1, site.pages() + 1))
    assert ended.counts == {"seen": 600, "inserted": 600}
    assert ask(site.dsn, "SELECT DISTINCT source_api FROM public.cars") == [("elsewhere",)]


def test_fresh_forgets_the_unfinished_run(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished
) -> None:
    leave_unfinished(site)
    site.sync("--fresh")
    _assert_started_anew(site)


def test_a_run_whose_unchanged_cars_are_gone_is_not_resumed(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished
) -> None:
    """What was unchanged is staged without values: the run could not bring it back."""
    leave_unfinished(site)
    columns = "page, ordinal, id, data_hash"
    unchanged = f"INSERT INTO carsync.seen_1 SELECT {columns} FROM ONLY carsync.staging_1"
    ask(site.dsn, f"{unchanged}; DELETE FROM carsync.staging_1")
    ended = site.sync()
    _assert_started_anew(site)
    assert "run 1 is not resumed: cars that it found unchanged were taken back" in ended.said
    assert ended.counts == {"seen": 600, "inserted": 600}


def test_a_run_that_is_too_old_is_not_resumed(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished
) -> None:
    leave_unfinished(site)
    ask(site.dsn, "UPDATE carsync.runs SET started_at = started_at - interval '25 hours'")
    site.sync()
    _assert_started_anew(site)


def test_a_success_is_as_old_as_its_oldest_page(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished
) -> None:
    leave_unfinished(site)
    ask(site.dsn, "UPDATE carsync.runs SET started_at = started_at - interval '3 hours'")
    ended = site.sync()
    assert ended.report["figures"]["pages_resumed"] > 0
    assert site.run("status", "--max-age", "4h").exit_code == 0
    assert site.run("status", "--max-age", "2h").exit_code == 7


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        pytest.param(b"", "the checkpoint is empty", marks=pytest.mark.long),
        pytest.param(
            b'{"version": 1, "checks', "the checkpoint is truncated", marks=pytest.mark.long
        ),
        (b"\x00\xffgarbage}\n", "the checkpoint is damaged"),
    ],
)
def test_a_damaged_checkpoint_is_said_and_the_run_resumes_all_the_same(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished, damage: bytes, problem: str
) -> None:
    staged = leave_unfinished(site)
    path = site.checkpoint_file
    assert path is not None
    path.write_bytes(damage)
    shown = site.run("status")
    assert shown.exit_code == 2
    assert problem in shown.err
    ended = site.sync()
    site.assert_exact()
    assert problem in ended.said
    assert sorted(site.api.pages_read()) == sorted(set(range(1, site.pages() + 1)) - staged)


def test_a_lost_checkpoint_does_not_matter(
    site: SimulatedSite, leave_unfinished: LeaveUnfinished
) -> None:
    staged = leave_unfinished(site)
    path = site.checkpoint_file
    assert path is not None
    path.unlink()
    site.sync()
    site.assert_exact()
    assert staged.isdisjoint(site.api.pages_read())


def _lose(site: SimulatedSite, pages: set[int]) -> None:
    """Take pages out of the ledger and the staging table of run 1."""
    for table in ("ledger_1", "staging_1"):
        ask(site.dsn, f"DELETE FROM carsync.{table} WHERE page = ANY(%s)", (sorted(pages),))


def test_pages_that_only_one_of_ledger_and_checkpoint_knows_are_kept_or_fetched_again(
    site: SimulatedSite,
) -> None:
    oracle = Oracle(site)
    site.api.hold(after=10)
    running = site.start("sync", "--json")
    early = site.await_staged(10)
    await_that(lambda: (s := site.checkpoint()) and s.pages_done == 10, "them in the checkpoint")
    path = site.checkpoint_file
    assert path is not None
    old = path.read_bytes()
    site.api.hold(after=6)
    site.await_staged(16)
    running.process.kill()
    running.end()
    site.await_no_process()
    path.write_bytes(old)  # killed before its next save
    lost = set(sorted(early)[2:5])
    _lose(site, lost)
    kept = site.staged_pages()
    assert len(kept) == 13

    site.api.release()
    site.api.reset()
    ended = oracle.recover()
    assert sorted(site.api.pages_read()) == sorted(set(range(1, site.pages() + 1)) - kept)
    (note,) = [note for note in ended.report["notes"] if "the ledger lost" in note]
    assert note.startswith("the ledger lost 3 of 10 staged pages (")
    assert str(min(lost)) in note
    assert "fetches what was lost again" in note
    assert "6 pages were staged after the checkpoint's last save, and kept" in ended.said
