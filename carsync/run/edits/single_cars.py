"""Single cars, asked for by their ids: what the API says of each, and what of it is believed.

A car is gone where its own answer says so, and where the answers for other cars show that such an
answer means something (`deactivation.by_id`). The values of a car are written where enough of
the other cars that are asked for have, by id, the values that they have in the table: else the API
gives records of another shape there, and a value that differs would be no change of the car.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from carsync import formatting
from carsync.deactivation import candidates
from carsync.deactivation.addresses import Addresses
from carsync.deactivation.by_id import Verdicts, verify
from carsync.deactivation.id_shapes import Shape, group_by_shape
from carsync.deactivation.policy import cap_objections
from carsync.destination.known_cars import KnownCar, count_active, find_cars
from carsync.mapping.ids import MAX_ID_CHARS, compile_spelling
from carsync.mapping.rejected import RejectedValueError, quote
from carsync.model import ProbeVerdict, Row
from carsync.run.context import RunContext
from carsync.run.deactivate import with_addresses
from carsync.run.edits.asking import ask_for
from carsync.run.edits.refreshed_car import WRITTEN, CarAction, RefreshedCar, compare
from carsync.run.probes import ProbeRunner

PORTION = 50
"""Cars that are asked for before the next ones are, and how far that is is told."""
TELL_S = 10.0
CONTROLS = 5
"""Other cars that are asked for, so that their values show what those of an answer are worth."""

SAME_SHARE = 0.4
"""At least this share of them must have those of the table: on a busy day many have changed."""

NOT_ASKED = "it was not asked for"
ATTEMPTS = 3
"""A car is asked for this often where the answers are not clear."""
_CLEAR = frozenset({ProbeVerdict.ALIVE, ProbeVerdict.GONE})
NO_CAR = "the table has no such car"


class SingleCars:
    """The cars of one refresh, in the order in which they were named.

    `is_listed`: a program named them, so that the caps of `sync.deactivate` hold.
    """

    def __init__(self, context: RunContext, named: Sequence[str], *, is_listed: bool) -> None:
        self._context = context
        self._is_listed = is_listed
        self._key = (context.connection, context.target, context.source)
        self.found: dict[str, RefreshedCar] = {}
        """What is known of each car so far."""
        self.asked: list[tuple[float, Sequence[str]]] = []
        """Portions of the cars, and since when, on the monotonic clock, each was asked for."""
        self._verdicts: Verdicts = {}
        self._controls: list[str] = []
        self._stranger: str | None = None
        self._addresses = Addresses(context.mapper.places, context.addresses)
        self._known: dict[str, KnownCar] = {}
        self._named = named
        self._ids: list[str] = []

    # ── who is asked for ─────────────────────────────────────────────────────

    def _spell(self) -> list[str]:
        """Return the ids as the table writes them, each once; those that are none are told."""
        rule = self._context.config.mapping.columns["id"]
        spell = compile_spelling(rule.type if rule else "text") or str
        for each in self._named:
            try:
                if not each.strip() or not each.isprintable() or len(each) > MAX_ID_CHARS:
                    raise RejectedValueError(f"{quote(each)} is no id")
                self.found.setdefault(spell(each), RefreshedCar(spell(each), "unclear", NOT_ASKED))
            except RejectedValueError as exc:
                self._tell(each, "unclear", str(exc))
        return [i for i, car in self.found.items() if car.reason == NOT_ASKED]

    def _with_addresses(self, ids: Sequence[str]) -> list[str]:
        """Return the ids that can be asked for; the others are told."""
        self._known = find_cars(self._context.connection, self._context.target, ids)
        ours = []
        for i in ids:
            owner = self._known[i].source if i in self._known else self._context.source
            if owner == self._context.source:
                ours.append(i)
            else:
                self._tell(i, "unclear", f"in the table it belongs to the source {owner}")
        found = ours
        if ours and not self._addresses.is_by_id:
            known = [i for i in ours if i in self._known]
            found = list(with_addresses(self._context, self._addresses, known, self._list_listed))
        record = self._context.config.api.record
        path = record.path if record else ""
        for i in set(ours) - set(found):
            words = f"in the table a value of {path} is missing"
            if i not in self._known:
                words = f"{NO_CAR}, whose values {path} needs (api.record.path)"
            self._tell(i, "unclear", words)
        return found

    def _tell(self, record_id: str, action: CarAction, reason: str = "") -> None:
        self.found[record_id] = RefreshedCar(record_id, action, reason)

    # ── what the API says ────────────────────────────────────────────────────

    def ask(self, probes: ProbeRunner) -> None:
        """Ask for all cars, and judge what was answered until the API fails or a signal comes."""
        self._ids = self._with_addresses(self._spell())
        told_s = time.monotonic()
        for at in range(0, len(self._ids), PORTION):
            portion = self._ids[at : at + PORTION]
            self.asked.append((time.monotonic(), portion))
            is_clear = self._ask_clearly(probes, portion)
            self._plan(probes, portion)
            if time.monotonic() - told_s >= TELL_S:
                told_s = time.monotonic()
                done = formatting.part(at + len(portion), len(self._ids), "car")
                self._context.say(f"asked for {done}")
            if self._context.stop.requested or not (is_clear or self._is_up(probes, portion)):
                break
        self._judge_gone(probes)
        self._judge_living(probes)

    def _ask_clearly(self, probes: ProbeRunner, ids: Sequence[str]) -> bool:
        """Ask, a few times where the answer is not clear; say whether any answer is."""
        for _ in range(ATTEMPTS):
            left = [i for i in ids if self._verdicts.get(i) not in _CLEAR]
            if left and not self._context.stop.requested:
                self._verdicts |= probes.ask(left, {})
        return any(self._verdicts.get(i) in _CLEAR for i in ids)

    def _is_up(self, probes: ProbeRunner, ids: Sequence[str]) -> bool:
        """Say whether the API answers for another car at all."""
        return self._ask_clearly(probes, self._draw_like(ids, 1))

    @property
    def _cut_short(self) -> str:
        """Why not all was asked for that was to be: `limits.budget` is used up."""
        problem = self._context.requests.problem
        return problem.problem if problem else ""

    @property
    def was_answered(self) -> bool:
        """Whether the API told anything of any car; also where none could be asked for."""
        return not self.asked or any(self._verdicts.get(i) in _CLEAR for i in self._ids)

    @property
    def rows(self) -> dict[str, Row]:
        """The rows of the cars that the API gave and that may be written, changed or not."""
        rows = self._context.rows_by_id
        living = self._with_verdict(ProbeVerdict.ALIVE)
        return {i: rows[i] for i in living if i in rows and self.found[i].action != "unclear"}

    @property
    def gone(self) -> list[str]:
        """The cars that are to be deactivated."""
        return [i for i, car in self.found.items() if car.action == "deactivated"]

    def _with_verdict(self, verdict: ProbeVerdict) -> list[str]:
        return [i for i in self._ids if self._verdicts.get(i) is verdict]

    def _judge_gone(self, probes: ProbeRunner) -> None:
        """Believe, where that is proved, that active cars are gone."""
        rules, said = self._context.config.sync.deactivate, self._context.said_by_id
        active = []
        for i in self._with_verdict(ProbeVerdict.GONE):
            if i not in self._known:
                self._tell(
                    i, "unclear", f"neither the table nor the API has it ({_words(said, i)})"
                )
            elif not self._known[i].is_active:
                self._tell(i, "unchanged", "it is inactive already")
            elif not rules.enabled:
                words = f"gone ({_words(said, i)}), but sync.deactivate.enabled is false"
                self._tell(i, "unchanged", words)
            else:
                active.append(i)
        if active and (against := self._object_to_number(len(active))):
            for i in active:
                self._tell(i, "unclear", against)
        elif active:
            self._prove(probes, active)

    def _object_to_number(self, gone: int) -> str:
        if not self._is_listed:
            return ""
        rules = self._context.config.sync.deactivate
        return "; ".join(cap_objections(gone, count_active(*self._key), rules))

    def _prove(self, probes: ProbeRunner, ids: Sequence[str]) -> None:
        def ask(record_ids: Sequence[str], pages: Mapping[str, int]) -> Verdicts:
            answers = ask_for(probes, record_ids, pages)
            if not pages:
                self._verdicts |= answers
            return answers

        self._stranger = self._addresses.add_stranger(ids)
        found = verify(ask, ids, self._draw, self._stranger, self._addresses.keys(ids))
        said = self._context.said_by_id
        for i in ids:
            verdict = found.verdicts.get(i)
            self._verdicts[i] = verdict or ProbeVerdict.NOTHING
            if verdict is ProbeVerdict.GONE:
                self._tell(i, "deactivated", _words(said, i))
            elif verdict is not ProbeVerdict.ALIVE:
                why = self._cut_short or found.objection
                why = why or "asked once more, it gave no clear answer"
                self._tell(i, "unclear", f"gone ({_words(said, i)}), but that is not proved: {why}")

    def _plan(self, probes: ProbeRunner, ids: Sequence[str]) -> None:
        """Plan what becomes of the cars that the API has; ask for others before one is written."""
        rows, changed = self._context.rows_by_id, []
        for i in ids:
            if self._verdicts.get(i) is not ProbeVerdict.ALIVE:
                continue
            if i not in rows:
                self._tell(i, "unclear", probes.no_row.get(i, "the answer makes no row"))
                continue
            self._tell(i, compare(self._known.get(i), rows[i]))
            if self.found[i].action in WRITTEN:
                changed.append(i)
        if changed and self._stranger is None:
            self._ask_controls(probes, changed)

    def _judge_living(self, probes: ProbeRunner) -> None:
        """Doubt the values that are to be written; tell what gave no clear answer."""
        self._plan(probes, self._with_verdict(ProbeVerdict.ALIVE))  # asked twice, some of them
        for i, why in list(self._object_to_values()):
            self._tell(i, "unclear", why)
        for i in self._with_verdict(ProbeVerdict.NOTHING):
            if self.found[i].reason == NOT_ASKED:
                said = self._context.said_by_id.get(i)
                words = said or self._cut_short or "the API gave no clear answer"
                self._tell(i, "unclear", words)

    def _object_to_values(self) -> Iterator[tuple[str, str]]:
        """Say of which cars the values must not be written, and why."""
        against, said = self._object_to_all(), self._context.said_by_id
        alike = [*self._controls, *self._unchanged]
        usual = {sign for i in alike for sign in said.get(i, "").split(", ")}
        for i, car in self.found.items():
            if car.action not in WRITTEN:
                continue
            signs = [s for s in said.get(i, "").split(", ") if s and s not in usual]
            if against:
                yield i, against
            elif self._says_yes_to_all and car.action != "updated":
                yield i, "the API answers 200 by id for a car that cannot exist"
            elif signs:
                words = f"if that means gone, set api.record.gone_when: {{{signs[0]}}}"
                yield i, f"it has {signs[0]}; {words}"

    def _object_to_all(self) -> str:
        """Say why no value by id is to be trusted; empty where enough cars have the table's."""
        rows, unchanged = self._context.rows_by_id, len(self._unchanged)
        known = find_cars(self._context.connection, self._context.target, self._controls)
        judged = [i for i in self._controls if i in rows and i in known]
        other = sum(known[i].data_hash != rows[i][-1] for i in judged)
        if not judged and not unchanged:
            return "no other active car could be read by id, to compare its values with the table"
        if len(judged) - other + unchanged >= SAME_SHARE * (len(judged) + unchanged):
            return ""
        return (
            "the values by id are not those of the pages: they differ for "
            f"{formatting.part(other, len(judged), 'other car')}; if the last sync is long ago, "
            "run `carsync sync` first"
        )

    @property
    def _unchanged(self) -> list[str]:
        """The cars that have, by id, the values that they have in the table."""
        return [i for i in self.rows if self.found[i].action == "unchanged"]

    @property
    def _says_yes_to_all(self) -> bool:
        stranger = self._stranger
        return stranger is not None and self._verdicts.get(stranger) is ProbeVerdict.ALIVE

    def _ask_controls(self, probes: ProbeRunner, ids: Sequence[str]) -> None:
        """Ask for cars that should be as the table has them, and for one that cannot exist."""
        self._draw_like(ids, CONTROLS - len(self._unchanged))
        self._stranger = self._addresses.add_stranger(ids)
        self._verdicts |= ask_for(probes, [*self._controls, self._stranger], {})

    def _draw_like(self, ids: Sequence[str], count: int) -> list[str]:
        """Draw other cars whose ids look like some of these, and which nobody asked for."""
        for shape in group_by_shape(ids, self._addresses.keys(ids)):
            listed = self._list_listed(shape, max(0, count) + len(self._ids))
            if found := [i for i in listed if i not in self.found][: max(0, count)]:
                self._controls.extend(found)
                return found
        return []

    def _list_listed(self, shape: Shape, count: int) -> list[str]:
        return candidates.list_listed(*self._key, self._addresses, shape, count)

    def _draw(self, shape: Shape, count: int) -> list[tuple[str, int]]:
        """Draw control samples for a proof: of the cars asked for, those that the API has."""
        listed = self._list_listed(shape, count + len(self._ids))
        living = set(self._with_verdict(ProbeVerdict.ALIVE))
        left = [i for i in listed if i not in self.found or i in living][:count]
        self._controls.extend(i for i in left if i not in self.found)
        return [(i, 0) for i in left]

    # ── what became of it ────────────────────────────────────────────────────

    def check(self, refused: int) -> None:
        """Hold what was planned against the table, after a merge that `refused` so many rows."""
        rows = self.rows
        planned = [i for i, car in self.found.items() if car.action not in {"unchanged", "unclear"}]
        now = find_cars(self._context.connection, self._context.target, planned)
        why = "another program wrote it meanwhile, or a trigger of the table keeps it otherwise"
        if refused:
            why = f"PostgreSQL refused the row, or {why} (`carsync rejects list`)"
        for i in planned:
            car = now.get(i, KnownCar(None, False, None))
            if i in rows:
                is_done = car.is_active and car.data_hash == rows[i][-1]
            else:
                is_done = not car.is_active
            if not is_done:
                self._tell(i, "unclear", why)


def _words(said: Mapping[str, str], record_id: str) -> str:
    """Return what the API said of a car that it calls gone."""
    return said.get(record_id) or "404"
