"""Tries how the API answers by id: for a car that it lists, and for one that cannot exist."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from carsync.config.api_sections import Record
from carsync.deactivation.impossible import impossible_id
from carsync.doctor.feed_asker import FeedAsker
from carsync.engine.reader import ProbeAnswer
from carsync.model import ProbeVerdict


class RecordFacts(Struct, frozen=True):
    """The answers by id; None where nobody asked.

    `listed` is the answer for `record_id`, which the first page lists, at `path`. Where that
    was not the record, `slashed` is the answer at `slashed_path`, which differs by its last
    slash. `impossible` is the answer for an id that cannot exist.
    """

    record_id: str
    path: str
    listed: ProbeAnswer
    slashed_path: str
    slashed: ProbeAnswer | None = None
    impossible: ProbeAnswer | None = None

    @property
    def readable_path(self) -> str | None:
        """The path at which the record was read; None where at none."""
        if self.listed.verdict is ProbeVerdict.ALIVE:
            return self.path
        is_read = self.slashed is not None and self.slashed.verdict is ProbeVerdict.ALIVE
        return self.slashed_path if is_read else None


def try_records(asker: FeedAsker, record: Record, record_id: str) -> RecordFacts:
    """Ask for the record, for one that cannot exist, and with the other slash where that may help.

    Makes two or three requests. Raises `PageError` where the API refuses them all.
    """
    path = record.path
    slashed_path = path[:-1] if path.endswith("/") else f"{path}/"
    facts = RecordFacts(record_id, path, asker.record(record_id, path), slashed_path)
    if facts.listed.verdict is not ProbeVerdict.ALIVE:
        facts = replace(facts, slashed=asker.record(record_id, slashed_path))
    if facts.readable_path is None:
        return facts
    return replace(facts, impossible=asker.record(impossible_id([record_id]), facts.readable_path))
