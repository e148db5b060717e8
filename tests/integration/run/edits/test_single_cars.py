"""What is believed of what an API says of single cars, with answers that a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from carsync.config.mapping_sections import ColumnRule, MappingRules
from carsync.config.sections import Config, Deactivate, Sync
from carsync.model import ProbeVerdict, Row
from carsync.postgres.wait import Connection
from carsync.run.edits.single_cars import SingleCars
from tests.conftest import ask
from tests.support.mappers import PRESET
from tests.support.merge_rig import TARGET, Rig, car, cars

ALIVE, GONE, NOTHING = ProbeVerdict.ALIVE, ProbeVerdict.GONE, ProbeVerdict.NOTHING


class Api:
    """Answers by id: a version of the car's values, or a verdict; `others` for all else."""

    def __init__(self, context: Any, said: Mapping[str, str | ProbeVerdict], others: str) -> None:
        self._context = context
        self._said = said
        self._others = others
        self.no_row: dict[str, str] = {}
        self.asked: list[str] = []
        self.stop_after = 1000

    def ask(self, ids: Sequence[str], pages: Mapping[str, int]) -> dict[str, ProbeVerdict]:
        """Answer for the cars 0 to 19, whatever is said of them; 404 for all others."""
        self.asked += ids
        self._context.stop.requested = len(self.asked) >= self.stop_after
        return {i: self._answer(i) for i in ids}

    def _answer(self, record_id: str) -> ProbeVerdict:
        others = self._others if record_id.isdigit() and int(record_id) < 20 else GONE
        said = self._said.get(record_id, self._said.get("*", others))
        if isinstance(said, ProbeVerdict):
            return said
        version, _, sign = said.partition(" ")
        self._context.said_by_id[record_id] = sign
        row: Row = (0, *car(record_id, version))
        self._context.rows_by_id[record_id] = row
        return ALIVE


@pytest.fixture
def rig(conn: Connection) -> Rig:
    """A table with the cars 0 to 19, of which 19 is inactive."""
    rig = Rig(conn)
    rig.sync(cars(range(20)))
    ask(conn, "UPDATE cars SET is_active = false, updated_at = now() WHERE id = '19'")
    return rig


def refresh(
    rig: Rig,
    named: Sequence[str],
    said: Mapping[str, str | ProbeVerdict],
    others: str = "a",
    *,
    id_type: str = "text",
    is_listed: bool = False,
    stop_after: int = 1000,
    **rules: Any,
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Return by id what is to become of the cars and why, and who was asked for."""
    columns: dict[str, ColumnRule | None] = {"id": ColumnRule(path="id", type=cast(Any, id_type))}
    config = Config(
        sync=Sync(deactivate=Deactivate(**rules)), mapping=MappingRules(columns=columns)
    )
    context: Any = SimpleNamespace(
        config=config,
        connection=rig.conn,
        target=TARGET,
        source=config.sync.source,
        said_by_id={},
        mapper=PRESET,
        addresses={},
        rows_by_id={},
        say=print,
        stop=SimpleNamespace(requested=False),
        requests=SimpleNamespace(problem=None),
    )
    single = SingleCars(context, named, is_listed=is_listed)
    api = Api(context, said, others)
    api.stop_after = stop_after
    single.ask(cast(Any, api))
    found = single.found.values()
    assert set(single.gone) == {c.id for c in found if c.action == "deactivated"}
    assert set(single.rows) <= {c.id for c in found if c.action not in {"unclear", "deactivated"}}
    return {c.id: (c.action, c.reason) for c in found}, api.asked


def test_a_car_is_compared_with_the_table(rig: Rig) -> None:
    said = {"1": "b", "19": "a", "99": "a"}
    found, asked = refresh(rig, ["0", "1", "19", "99", "0"], said)
    assert {i: action for i, (action, _) in found.items()} == {
        "0": "unchanged",
        "1": "updated",
        "19": "reactivated",
        "99": "inserted",
    }
    assert len(asked) == 4 + 4 + 1, "four other cars and one that cannot exist"


def test_an_unchanged_car_costs_one_request(rig: Rig) -> None:
    found, asked = refresh(rig, ["7"], {})
    assert (found["7"][0], asked) == ("unchanged", ["7"])


UNBELIEVED: dict[str, tuple[dict[str, str | ProbeVerdict], str]] = {
    "404 to every id": ({"*": GONE}, "404 even for each car"),
    "nothing for all others": ({"1": GONE, "*": NOTHING}, "no usable answer"),
}


@pytest.mark.parametrize(("said", "why"), UNBELIEVED.values(), ids=UNBELIEVED)
def test_nobody_goes_by_answers_that_prove_nothing(
    rig: Rig, said: dict[str, str | ProbeVerdict], why: str
) -> None:
    found, _ = refresh(rig, ["1"], said)
    action, reason = found["1"]
    assert action == "unclear"
    assert "not proved" in reason
    assert why in reason


def test_gone_is_proved_by_other_cars_and_one_that_cannot_exist(rig: Rig) -> None:
    found, asked = refresh(rig, ["1", "19", "99"], {"1": GONE, "19": GONE, "99": GONE})
    assert found["1"][0] == "deactivated"
    assert found["19"] == ("unchanged", "it is inactive already")
    assert found["99"][0] == "unclear"
    assert "neither the table nor the API has it" in found["99"][1]
    assert len(asked) > 20


def test_nobody_goes_where_deactivation_is_switched_off(rig: Rig) -> None:
    found, asked = refresh(rig, ["1"], {"1": GONE}, enabled=False)
    assert found["1"][0] == "unchanged"
    assert "sync.deactivate.enabled is false" in found["1"][1]
    assert asked == ["1"]


@pytest.mark.parametrize("is_listed", [False, True], ids=["a person", "a program"])
def test_the_caps_hold_for_what_a_program_names(rig: Rig, is_listed: bool) -> None:
    ids = ["1", "2", "3"]
    found, _ = refresh(rig, ids, dict.fromkeys(ids, GONE), is_listed=is_listed, max_share=0.1)
    actions = {action for action, _ in found.values()}
    assert actions == ({"unclear"} if is_listed else {"deactivated"})
    assert ("max_share" in found["1"][1]) is is_listed


OTHER_VALUES: dict[str, tuple[dict[str, str | ProbeVerdict], str, str]] = {
    "another shape by id": ({"1": "b"}, "z", "not those of the pages: they differ for 5 of 5"),
    "nothing else by id": ({"1": "b", "*": NOTHING}, "a", "no other active car could be read"),
    "a sign of its own": ({"1": "b .archived: true"}, "a", "api.record.gone_when: {.archived"),
}


@pytest.mark.parametrize(("said", "others", "why"), OTHER_VALUES.values(), ids=OTHER_VALUES)
def test_values_that_are_not_those_of_the_pages_are_not_written(
    rig: Rig, said: dict[str, str | ProbeVerdict], others: str, why: str
) -> None:
    found, _ = refresh(rig, ["1"], said, others)
    assert found["1"][0] == "unclear"
    assert why in found["1"][1]


def test_an_api_that_knows_every_car_inserts_none(rig: Rig) -> None:
    found, _ = refresh(rig, ["1", "99"], {"1": "b", "99": "a", "*": "a"})
    assert found["1"][0] == "updated"
    assert found["99"] == ("unclear", "the API answers 200 by id for a car that cannot exist")


def test_ids_are_those_of_the_table_and_nothing_is_lost_on_what_is_none(rig: Rig) -> None:
    named = ["007", "7", "x", "\x00", "12" * 300]
    found, asked = refresh(rig, named, {}, id_type="bigint")
    assert found["7"][0] == "unchanged"
    assert asked == ["7"]
    assert {action for i, (action, _) in found.items() if i != "7"} == {"unclear"}
    assert len(found) == 4


def test_the_car_of_another_source_is_not_asked_for(rig: Rig) -> None:
    ask(rig.conn, "UPDATE cars SET source_api = 'theirs' WHERE id = '3'")
    found, asked = refresh(rig, ["3"], {})
    assert found["3"] == ("unclear", "in the table it belongs to the source theirs")
    assert asked == []


def test_a_portion_without_a_clear_answer_ends_the_asking_only_where_the_api_is_down(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carsync.run.edits.single_cars.PORTION", 2)
    named = ["51", "52", "1"]
    silent = dict.fromkeys(("51", "52"), NOTHING)
    found, _ = refresh(rig, named, silent)
    assert found["1"][0] == "unchanged"
    found, asked = refresh(rig, named, {"*": NOTHING})
    assert found["1"] == ("unclear", "it was not asked for")
    assert len(asked) == 3 * 2 + 3


def test_what_was_read_before_a_signal_counts(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carsync.run.edits.single_cars.PORTION", 2)
    found, asked = refresh(rig, ["1", "2", "3", "4"], {"1": "b"}, stop_after=7)
    actions = {i: action for i, (action, _) in found.items()}
    assert actions == {"1": "updated", "2": "unchanged", "3": "unclear", "4": "unclear"}
    assert "3" not in asked


def test_where_all_cars_are_named_those_that_are_there_prove_who_is_gone(rig: Rig) -> None:
    found, _ = refresh(rig, [str(i) for i in range(20)], {"1": GONE, "19": GONE, "2": "b"})
    assert found.pop("1")[0] == "deactivated"
    assert found.pop("2")[0] == "updated"
    assert {action for action, _ in found.values()} == {"unchanged"}
