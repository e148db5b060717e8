"""Records of the domain: what a feed lists, what a run is asked to do and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from carsync.redaction import Secret, is_by_chance, redact

Row = tuple[Any, ...]

RequestKind = Literal["pages", "by_id", "removals", "token"]
"""What a request to the API is for: a page of the feed, one record, a page of tombstones, a key."""

PARENT_SESSIONS = 2
"""Sessions that a run needs beside its writers': its own, and one that watches long statements."""

MAX_ORIGINAL_CHARS = 1_000_000
"""A rejected record's text is kept up to this length."""

OriginalKind = Literal["record", "row", "altered"]
"""What a reject's text is: the record's own, the mapped row of one that PostgreSQL refused,
or neither any more: cut short, or with what no text can hold replaced."""


class Reject(Struct, frozen=True):
    """A record that no row can hold; it counts as seen.

    `record_id` is None where the record has no usable id; `original` is the
    record's own JSON text (NUL-free, at most `MAX_ORIGINAL_CHARS`), and
    `original_kind` says whether that is still the text that the feed gave.
    """

    ordinal: int
    record_id: str | None
    column: str | None
    reason: str
    original: str
    original_kind: OriginalKind = "record"

    def without(self, secret: Secret | None) -> Reject:
        """Return the reject with `***` for the API's key, which a record may quote.

        An id that holds the key is none. Rows keep it, and a short key stands everywhere by
        chance: in ids, prices and hashes.
        """
        plain = _plain(secret)
        record_id = self.record_id and redact(self.record_id, plain)
        shown = replace(
            self,
            record_id=record_id if record_id == self.record_id else None,
            reason=redact(self.reason, plain),
            original=redact(self.original, plain),
        )
        return self if shown == self else replace(shown, original_kind="altered")


def _plain(secret: Secret | None) -> str:
    """Return the text of a secret that a record may quote; empty where it holds it by chance."""
    return "" if secret is None or is_by_chance(secret.reveal()) else secret.reveal()


class PageInfo(Struct, frozen=True):
    """What an answer says of its feed: the totals, and where the next page is.

    All None where it says nothing; `next_token` is known of feeds that are read page by page,
    `has_more` of feeds that say whether a page follows.
    """

    total_pages: int | None = None
    total_records: int | None = None
    next_token: str | None = None
    has_more: bool | None = None


class Unread(Struct, frozen=True):
    """Values of one column that could not be read and became its default.

    `count` says how many they are; `record_id` and `reason` are of the first one.
    """

    count: int
    record_id: str | None
    reason: str


class PageNotes(Struct, frozen=True, omit_defaults=True):
    """What a page tells of the feed's columns beyond its rows.

    `unread` is by column. `absent` are the columns at whose path no record of the page holds a
    value. `fields` are the dotted paths that at least half of the records have; only the feed's
    first page lists them.
    """

    unread: dict[str, Unread] = {}
    absent: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    def without(self, secret: Secret | None) -> PageNotes:
        """Return the notes with `***` for the API's key in their examples."""
        key = _plain(secret)
        if not key or not self.unread:
            return self
        unread = {n: replace(u, reason=redact(u.reason, key)) for n, u in self.unread.items()}
        return replace(self, unread=unread)


class MappedPage(Struct, frozen=True):
    """A page on its way from a fetcher to a writer.

    `rows` holds one tuple per good record, in the order of `Mapper.columns`
    preceded by the record's ordinal in the page; `records` counts all records
    of the answer, good and rejected. `age_s` is how long ago the request was sent,
    when this record was made: the data are at most that old.
    """

    page: int
    rows: Sequence[Row]
    rejects: tuple[Reject, ...]
    records: int
    info: PageInfo
    age_s: float
    notes: PageNotes = PageNotes()

    def aged(self, seconds: float) -> MappedPage:
        """Return the page as it is `seconds` later."""
        return replace(self, age_s=self.age_s + seconds)


class ProbeVerdict(StrEnum):
    """What an answer to a by-id request proves."""

    GONE = "gone"  # 404 or 410
    ALIVE = "alive"  # 200
    NOTHING = "nothing"  # anything else


class StagedPage(Struct, frozen=True):
    """One ledger line: the page's rows and rejects are committed in PostgreSQL."""

    page: int
    rows: int
    rejects: int
    records: int
    info: PageInfo


class Column(Struct, frozen=True):
    """A column of staging and target: SQL name and PostgreSQL type name."""

    name: str
    type: str


REMOVED_AT = "carsync removed_at"
"""The column of a tombstone that says when its car went; no mapping may name it."""
MATCH = "= "
"""Before the name of a column whose value in the table a tombstone must hold, too."""


def is_set(name: str) -> bool:
    """Say whether a tombstone's column is one that it writes into the target.

    >>> is_set("final_bid"), is_set("id"), is_set("= lot_number")
    (True, False, False)
    """
    return name not in {"id", REMOVED_AT} and not name.startswith(MATCH)


class MergeCounts(Struct, frozen=True):
    """What one merge did to the target, in rows; `seen` counts distinct ids, rejects included.

    Only a revert deletes: cars that the run it takes back had inserted. `kept` are cars that the
    table itself, by a trigger, keeps otherwise than the run wants them. `removed` counts
    those of the deactivated that went by a tombstone.
    """

    seen: int = 0
    inserted: int = 0
    updated: int = 0
    reactivated: int = 0
    unchanged: int = 0
    stale: int = 0
    deactivated: int = 0
    held: int = 0
    rejected: int = 0
    duplicate: int = 0
    deleted: int = 0
    kept: int = 0
    removed: int = 0


class Target(Struct, frozen=True):
    """The table that carsync keeps in step with the feed; `id_column` holds the feed's ids."""

    schema: str
    table: str
    id_column: str = "id"

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"

    def key(self, source: str) -> dict[str, str]:
        """Return the parameters by which carsync's own tables know this table's `source`."""
        return {"schema": self.schema, "table": self.table, "source": source}


CheckVerdict = Literal["pass", "fail", "n/a"]


class Check(Struct, frozen=True):
    """One target, in words for people; "n/a": switched off, or the run was too short to judge."""

    name: str
    target: str
    measured: str
    verdict: CheckVerdict


Scope = Literal["whole", "sample", "dry"]
"""The whole feed; only its first pages; or read, merged and rolled back."""


Mode = Literal["full", "incremental"]
"""The whole feed; or what it lists as changed since the last run."""

RunMode = Literal["full", "incremental", "refresh"]
"""What a run reads; `refresh`: single cars, by their ids."""


MIN_RECORDS_TO_JUDGE = 1000
"""Of fewer records the share of rejects says little of a feed."""


def judged_records(records: int, mode: RunMode) -> int:
    """Return of how many records `sync.max_reject_share` is a share, at the end of a run.

    One bad record among a few changed ones would fail each incremental run until it is mended.

    >>> judged_records(12, "full"), judged_records(12, "incremental")
    (12, 1000)
    """
    return records if mode == "full" else max(records, MIN_RECORDS_TO_JUDGE)


class RunOptions(Struct, frozen=True):
    """`fresh` forgets an unfinished run instead of resuming it.

    `adopt_source` lets the feed take over the cars that another feed wrote under its source.
    `dry_run` does all of it, rolls the merge back and leaves nothing behind. `max_pages`
    reads only so many pages, and deactivates nobody; None: the whole feed. `mode`: what is read;
    an incremental run that is not possible is one of the whole feed where `or_full`. `wait_s`: wait
    that long for the end of another run.
    """

    fresh: bool = False
    adopt_source: bool = False
    dry_run: bool = False
    max_pages: int | None = None
    mode: Mode = "full"
    or_full: bool = False
    wait_s: float = 0.0

    @property
    def scope(self) -> Scope:
        """How much of the feed the run reads, and whether anything stays of it.

        >>> RunOptions(dry_run=True, max_pages=3).scope
        'dry'
        """
        if self.dry_run:
            return "dry"
        return "whole" if self.max_pages is None else "sample"


ORDINARY = RunOptions()
"""A run of the whole feed, for real, that resumes an unfinished one."""

RowAction = Literal["inserted", "updated", "reactivated", "deactivated", "deleted"]

ROW_ACTIONS: tuple[RowAction, ...] = get_args(RowAction)
"""What a run may do to a row of the target."""

EndState = Literal["interrupted", "failed", "partial", "held", "complete"]
"""How a run may end."""

RunState = Literal["running", "merging", "abandoned", EndState]
"""`merging` stands in the checkpoint alone, `abandoned` in `carsync.runs` alone."""
