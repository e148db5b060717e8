"""Approval: exactly the held set that was shown, if it is still true, and in time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from carsync.cli.app import app
from carsync.deactivation import approval
from carsync.destination import staging
from carsync.errors import ApprovalError, LockedError
from carsync.model import Target
from carsync.postgres.wait import Connection
from carsync.reporting.answers.runs import tell_runs
from carsync.reporting.views.run_details import gather, list_past
from carsync.reporting.views.run_details_view import render_details
from carsync.reporting.views.run_list import render_list
from carsync.state import runs, target_lock
from tests.conftest import ask
from tests.support.merge_rig import SOURCE, TARGET, Rig, car, cars, page, reject
from tests.support.snapshots import NOW

DAY_H = 24.0


@pytest.fixture
def rig(conn: Connection) -> Rig:
    """A table with the cars 0 to 9, of which the last run saw 0 to 3 and held the rest."""
    rig = Rig(conn)
    rig.sync(cars(range(10)))
    rig.sync(cars(range(4)), action="hold")
    return rig


def approve(rig: Rig, run_id: int, *ids: str, **more: Any) -> approval.Review:
    arguments = {"target": TARGET, "source": SOURCE, "within_h": DAY_H, **more}
    return approval.approve(rig.conn, run_id=run_id, record_ids=ids, **arguments)


def review(rig: Rig, **more: Any) -> approval.Review:
    arguments = {"target": TARGET, "source": SOURCE, "within_h": DAY_H, **more}
    return approval.review(rig.conn, **{"run_id": rig.run.run_id, **arguments})


def active(rig: Rig) -> str:
    return "".join(sorted(rig.active()))


def left_out(found: approval.Review) -> dict[str, str]:
    return {car.id: car.left_out for car in found.left_out}


def test_approval_deactivates_what_the_run_held_and_nothing_else(rig: Rig) -> None:
    found = review(rig)
    assert [car.id for car in found.to_approve] == list("456789")
    assert not found.left_out
    done = approve(rig, rig.run.run_id, *"456789")
    assert [car.id for car in done.to_approve] == list("456789")
    assert active(rig) == "0123"


def test_approval_takes_only_cars_that_were_shown(rig: Rig) -> None:
    approve(rig, rig.run.run_id, "4", "5", "0", "no such car")
    assert active(rig) == "01236789"


def test_cars_written_deactivated_moved_or_deleted_since_are_left_out_and_named(rig: Rig) -> None:
    ask(rig.conn, "UPDATE cars SET updated_at = clock_timestamp() WHERE id = '4'")
    ask(rig.conn, "UPDATE cars SET is_active = false WHERE id = '5'")
    ask(rig.conn, "UPDATE cars SET source_api = 'by hand' WHERE id = '6'")
    ask(rig.conn, "DELETE FROM cars WHERE id = '7'")
    found = review(rig)
    assert left_out(found) == {
        "4": "was written since",
        "5": "is inactive already",
        "6": "belongs to another source now",
        "7": "is no longer in the table",
    }
    approve(rig, rig.run.run_id, *"456789")
    assert active(rig) == "01234"  # 6 is of another source


def test_car_written_between_the_look_and_the_yes_is_left_out_and_named(rig: Rig) -> None:
    shown = [car.id for car in review(rig).to_approve]
    ask(rig.conn, "UPDATE cars SET last_synced_at = clock_timestamp() WHERE id = '8'")
    done = approve(rig, rig.run.run_id, *shown)
    assert left_out(done) == {"8": "was written since"}
    assert active(rig) == "01238"


def test_a_car_that_the_table_does_not_let_go_stays_alone_and_is_named(rig: Rig) -> None:
    ask(
        rig.conn,
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.id = '5' THEN RAISE EXCEPTION 'sold, but not paid'; END IF; "
        "NEW.is_active := NEW.id = '6'; RETURN NEW; END $$;"
        "CREATE TRIGGER guard BEFORE UPDATE ON cars FOR EACH ROW EXECUTE FUNCTION guard()",
    )
    done = approve(rig, rig.run.run_id, *"456789")
    assert left_out(done) == {
        "5": "PostgreSQL refused it: sold, but not paid",
        "6": "is kept active by a trigger of the table",
    }
    assert active(rig) == "012356"
    run = runs.find_run(rig.conn, rig.run.run_id)
    assert run is not None
    assert (run.summary or {})["approval"]["deactivated"] == 4


def test_car_seen_by_a_run_that_died_since_is_left_out_though_its_pages_are_gone(rig: Rig) -> None:
    held = rig.run.run_id
    rig.begin()
    rig.stage(page(1, cars([0, 4]), [reject(7, "5"), reject(8, None)]))
    rig.stage(page(2, [car("6\0")]), method="copy")
    seen_by = rig.run.run_id
    assert set(left_out(review(rig, run_id=held))) == {"4", "5"}
    assert f"was seen by run {seen_by}" in left_out(review(rig, run_id=held))["4"]
    runs.abandon_runs(rig.conn, TARGET, SOURCE)
    staging.drop_stale(rig.conn, TARGET, SOURCE)
    rig.begin()
    assert set(left_out(review(rig, run_id=held))) == {"4", "5"}
    approve(rig, held, *"456789")
    assert active(rig) == "012345"


def test_car_seen_between_the_look_and_the_yes_is_left_out(rig: Rig) -> None:
    """A writer that was left over may still commit its page."""
    held, shown = rig.run.run_id, [car.id for car in review(rig).to_approve]
    rig.begin()
    rig.stage(page(1, cars([4])))
    ask(rig.conn, "DELETE FROM carsync.runs WHERE run_id = %s", rig.run.run_id)
    approve(rig, held, *shown)
    assert active(rig) == "01234"


def test_unfinished_run_without_staging_tells_nothing(rig: Rig) -> None:
    held = rig.run.run_id
    rig.begin()
    staging.drop(rig.conn, rig.run.run_id)
    assert not review(rig, run_id=held).left_out


def test_second_approval_says_already_approved_and_changes_nothing(rig: Rig) -> None:
    approve(rig, rig.run.run_id, "4", "5")
    ask(rig.conn, "UPDATE cars SET is_active = true WHERE id = '4'")
    again = approve(rig, rig.run.run_id, *"456789")
    assert again.approval is not None
    assert (again.approval["deactivated"], again.approval["left_out"]) == (2, 0)
    assert active(rig) == "012346789"


def test_approval_survives_the_record_of_the_runs_end(rig: Rig) -> None:
    """The run's process writes its summary after it gave the lock up."""
    approve(rig, rig.run.run_id, "4")
    runs.finish_run(rig.conn, rig.run, "held", 6, {"pages": 1})
    assert review(rig).approval is not None
    run = runs.find_run(rig.conn, rig.run.run_id)
    assert run is not None
    assert run.summary is not None
    assert run.summary["pages"] == 1


# ── refusals ─────────────────────────────────────────────────────────────────


def test_held_set_expires(rig: Rig) -> None:
    age = "UPDATE carsync.runs SET merged_at = merged_at - %s::interval WHERE run_id = %s"
    ask(rig.conn, "UPDATE cars SET created_at = NULL, updated_at = NULL, last_synced_at = NULL")
    ask(rig.conn, age, "23 hours 59 minutes", rig.run.run_id)
    assert len(review(rig).to_approve) == 6
    ask(rig.conn, age, "2 minutes", rig.run.run_id)
    with pytest.raises(ApprovalError, match="can no longer be approved") as caught:
        approve(rig, rig.run.run_id, *"456789")
    assert "approve_within_h is 24" in caught.value.detail
    assert "run `carsync sync` again" in caught.value.hint
    assert len(rig.active()) == 10


@pytest.mark.parametrize(("action", "hint"), [("hold", "carsync approve"), ("skip", "")])
def test_later_merged_run_supersedes(rig: Rig, action: Any, hint: str) -> None:
    held = rig.run.run_id
    rig.sync(cars(range(4)), action=action)
    with pytest.raises(ApprovalError, match=f"run {rig.run.run_id} has replaced it") as caught:
        approve(rig, held, *"456789")
    assert hint in caught.value.hint
    assert len(rig.active()) == 10


def test_superseded_between_the_look_and_the_yes_is_refused(rig: Rig) -> None:
    held, shown = rig.run.run_id, [car.id for car in review(rig).to_approve]
    rig.sync(cars(range(10)))
    with pytest.raises(ApprovalError, match="has replaced it"):
        approve(rig, held, *shown)
    assert len(rig.active()) == 10


def test_run_that_is_unknown_elsewhere_unmerged_or_holds_nothing_is_refused(rig: Rig) -> None:
    with pytest.raises(ApprovalError, match="there is no run 4711"):
        approve(rig, 4711, "4")
    with pytest.raises(ApprovalError, match="another table or source") as caught:
        approve(rig, rig.run.run_id, "4", source="another")
    assert "source 'external'" in caught.value.detail
    with pytest.raises(ApprovalError, match="another table or source"):
        approve(rig, rig.run.run_id, "4", target=Target("public", "bikes"))
    first = rig.run.run_id - 1
    with pytest.raises(ApprovalError, match="holds no cars"):
        approve(rig, first, "4")
    rig.begin()
    with pytest.raises(ApprovalError, match="was not merged") as caught:
        approve(rig, rig.run.run_id, "4")
    assert "running" in caught.value.detail
    assert len(rig.active()) == 10


# ── the command ──────────────────────────────────────────────────────────────


@pytest.fixture
def command(dsn: str, tmp_path: Path) -> Any:
    environ = {
        "DATABASE_URL": dsn,
        "API_BASE_URL": "http://localhost:1",
        "API_KEY": "k",
        "STATE_DIRECTORY": str(tmp_path),
    }

    def run(*words: Any, answer: str = "") -> Result:
        arguments = ["approve", *map(str, words)]
        return CliRunner().invoke(app, arguments, env=environ, input=answer, prog_name="carsync")

    return run


def test_command_shows_asks_and_deactivates(rig: Rig, command: Any) -> None:
    ask(rig.conn, "UPDATE cars SET updated_at = clock_timestamp() WHERE id = '9'")
    nobody = command(rig.run.run_id)
    assert nobody.exit_code == 2
    assert "hint: look with --dry-run, then run the command again with --yes" in nobody.stderr
    no = command(rig.run.run_id, answer="n\n")
    assert no.exit_code == 130
    assert len(rig.active()) == 10
    yes = command(rig.run.run_id, answer="y\n")
    assert yes.exit_code == 0, yes.output
    assert yes.stdout == "5 cars deactivated.\n"
    assert "Deactivate 5 cars?" in yes.stderr
    assert "9  was written since" in yes.stderr
    assert active(rig) == "01239"
    again = command(rig.run.run_id, "--yes")
    assert again.exit_code == 0
    assert "was already approved on" in again.stdout


def test_command_prints_every_car_as_json(rig: Rig, command: Any) -> None:
    look = command(rig.run.run_id, "--dry-run", "--json")
    data = json.loads(look.stdout)
    assert [car["id"] for car in data["cars"]] == list("456789")
    assert (data["held"], data["deactivated"], data["already_approved"]) == (6, 0, None)
    assert len(rig.active()) == 10
    data = json.loads(command(rig.run.run_id, "--yes", "--json").stdout)
    assert (data["deactivated"], data["left_out"]) == (6, [])
    data = json.loads(command(rig.run.run_id, "--yes", "--json").stdout)
    assert data["deactivated"] == 0
    assert data["already_approved"]["deactivated"] == 6


def test_command_refuses_with_exit_code_2_and_a_hint(rig: Rig, command: Any) -> None:
    ask(rig.conn, "UPDATE carsync.runs SET merged_at = merged_at - '73 hours'::interval")
    late = command(rig.run.run_id, "--yes")
    assert late.exit_code == 2
    assert "hint: run `carsync sync` again" in late.stderr
    assert len(rig.active()) == 10
    assert command(4711, "--yes").exit_code == 2


def test_command_waits_for_no_run_and_keeps_none_waiting(rig: Rig, command: Any) -> None:
    assert target_lock.try_acquire(rig.conn, TARGET)
    busy = command(rig.run.run_id, "--yes")
    assert busy.exit_code == LockedError.exit_code
    assert len(rig.active()) == 10


def test_what_an_approval_did_is_told_wherever_past_runs_are(rig: Rig, command: Any) -> None:
    """The runbook that looks for the run that deactivated cars reads this list."""
    run_id, user = rig.run.run_id, ask(rig.conn, "SELECT session_user")[0][0]
    approve(rig, run_id, "4", "5")
    past = list_past(rig.conn, TARGET, 2)
    (line,) = tell_runs(past[:1]).runs
    assert (line.deactivated, (line.counts or {})["deactivated"]) == (2, 0)
    assert (line.approval or {})["by"] == user
    cells = dict(zip(*map(str.split, render_list(past[:1], NOW, 60).splitlines()), strict=False))
    assert (cells["gone"], cells["held"]) == ("2", "4")
    shown = render_details(gather(rig.conn, TARGET, run_id, pages=1), NOW, 80)
    assert f"by {user}: 2 cars deactivated, 0 left out" in shown
