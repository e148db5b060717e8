"""Following the feed of changes: to its end, or on and on, through restarts of PostgreSQL."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from carsync import timing
from carsync.config.sections import Config
from carsync.errors import DatabasePermissionError, DatabaseUnavailableError
from carsync.postgres.connect import open_database
from carsync.postgres.listen import listen, wait_for_notice
from carsync.postgres.wait import Connection
from carsync.state import change_feed
from carsync.state.change_feed import Change, FeedCursor, FeedReader
from carsync.state.present_cars import PresentCar, read_table

log = logging.getLogger(__name__)

START, NOW, TABLE = "start", "now", "table"
Window = list[Change] | list[PresentCar]
_LOOK_ANYWAY_S = 60.0
"""After this long without a notification the feed is read all the same."""
_POLL_S = 2.0
"""Between two looks at a standby, which notifies nobody."""
_BACK_OFF_S = 5.0
_TURN_S = 0.5
_RIGHTS = (
    "a reader needs USAGE on the schema carsync, SELECT on carsync.changes, carsync.change_batches "
    "and carsync.runs, and SELECT on the table where it reads rows"
)


class ChangeFollower:
    """Reads the feed of the configured table from a cursor's text, `start`, `now` or `table` on.

    `table`: first all cars as they are now, then what happens to them.

    Raises `CursorError` where the cursor is refused, `DatabaseError`, and `ConfigError`.
    """

    def __init__(self, config: Config, since: str, *, with_rows: bool = False) -> None:
        self._config = config
        self._with_rows = with_rows
        self._since = since
        self._cursor = None if since in {START, NOW, TABLE} else FeedCursor.parse(since)

    def find_head(self) -> FeedCursor:
        """Return the cursor behind the newest change."""
        with _as_reader(), closing(self._open()) as conn:
            change_feed.is_standby(conn)
            return change_feed.find_head(conn, self._config.target)

    def read(self, *, follow: bool, each_turn: Callable[[], None]) -> Iterator[Window]:
        """Give the changes behind the cursor, some at a time; with `follow` go on for ever.

        `each_turn` is called about twice a second while nothing happens, and may raise.
        A connection that breaks is made anew while following, for `follow_outage_s` at most.
        """
        gone_since_s: float | None = None
        while True:
            try:
                with _as_reader(), closing(self._open()) as conn:
                    for window in self._read(conn, follow, each_turn):
                        gone_since_s = None
                        yield window
                return
            except DatabaseUnavailableError as exc:
                now_s = time.monotonic()
                gone_since_s = gone_since_s or now_s
                is_over = now_s - gone_since_s > timing.current().follow_outage_s
                if not follow or self._cursor is None or is_over:
                    raise
                if gone_since_s == now_s:  # once for each outage
                    log.warning("the database is away, trying again: %s", exc.detail)
            _rest(_BACK_OFF_S * random.random(), each_turn)

    def _open(self) -> Connection:
        return open_database(self._config, "carsync changes")

    def _read(
        self, conn: Connection, follow: bool, each_turn: Callable[[], None]
    ) -> Iterator[Window]:
        is_told = not change_feed.is_standby(conn)
        if follow and is_told:
            listen(conn)  # before the first look, so that no news falls between the two
        target = self._config.target
        if self._cursor is None:
            find = change_feed.find_start if self._since == START else change_feed.find_head
            self._cursor = find(conn, target)
        if self._since == TABLE:
            yield from read_table(conn, target, self._cursor)
            self._since = NOW
        reader = FeedReader(conn, target, self._cursor, with_rows=self._with_rows)
        while True:
            for window in reader.windows():
                self._cursor = reader.cursor
                yield window
            self._cursor = reader.cursor
            if not follow:
                return
            yield []
            wait_for_notice(conn, _LOOK_ANYWAY_S if is_told else _POLL_S, each_turn)


@contextmanager
def _as_reader() -> Iterator[None]:
    """Let a refusal of PostgreSQL say what a reader needs, which is less than a run does."""
    try:
        yield
    except DatabasePermissionError as exc:
        if exc.__cause__ is not None:
            exc.hint = _RIGHTS
        raise


def _rest(seconds: float, each_turn: Callable[[], None]) -> None:
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(left_s, _TURN_S))
        each_turn()
