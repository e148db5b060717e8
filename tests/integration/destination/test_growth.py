"""Fifty daily runs of 2 % churn: neither the table nor carsync's own grow out of bounds."""

from __future__ import annotations

import random
from collections.abc import Iterator

from carsync.destination import staging
from carsync.model import Row
from carsync.postgres.wait import Connection
from tests.conftest import ask
from tests.support import effort
from tests.support.merge_rig import Rig, car

CARS = effort.trials(2_000, 20_000)
DAYS = 50
CHANGED, NEW, GONE = 0.018, 0.001, 0.001
MAX_GROWTH = 0.20
PAGE_ROWS = 1000
MAX_OWN_BYTES = 500_000
MAX_CHANGE_BYTES = 400

_SIZES = """
SELECT pg_total_relation_size(oid), pg_relation_size(oid), pg_indexes_size(oid),
       pg_relation_size(reltoastrelid)
FROM pg_class WHERE oid = 'public.cars'::regclass
"""
_OWN = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class "
_OWN += "WHERE relnamespace = 'carsync'::regnamespace AND relkind = 'r' AND relname <> 'changes'"
_CHANGES = "SELECT pg_total_relation_size('carsync.changes') / count(*) FROM carsync.changes"
_DEAD = """
SELECT s.schemaname || '.' || s.relname
FROM pg_stat_all_tables AS s
JOIN pg_class AS c ON c.oid = s.relid
LEFT JOIN pg_options_to_table(c.reloptions) AS o
    ON o.option_name = 'autovacuum_vacuum_scale_factor'
WHERE s.n_dead_tup > 50 + coalesce(o.option_value::float, 0.2) * greatest(c.reltuples, 0)
  AND s.relid IN ('public.cars'::regclass,
                  (SELECT reltoastrelid FROM pg_class WHERE oid = 'public.cars'::regclass),
                  'carsync.runs'::regclass, 'carsync.rejects'::regclass,
                  'carsync.absences'::regclass)
"""


class Feed:
    """Cars that change, come and go; one in four has pictures that are stored out of line."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._next = CARS
        self._versions = dict.fromkeys(range(CARS), 0)

    def pages(self) -> Iterator[list[Row]]:
        """Give today's feed."""
        rows = [self._row(number, version) for number, version in self._versions.items()]
        for start in range(0, len(rows), PAGE_ROWS):
            yield rows[start : start + PAGE_ROWS]

    def pass_a_day(self) -> None:
        """Change, remove and add their shares."""
        cars = self._random.sample(list(self._versions), round(CARS * (CHANGED + GONE)))
        gone = round(CARS * GONE)
        for number in cars[:gone]:
            del self._versions[number]
        for number in cars[gone:]:
            self._versions[number] += 1
        for _ in range(round(CARS * NEW)):
            self._versions[self._next] = 0
            self._next += 1

    def _row(self, number: int, version: int) -> Row:
        row = car(str(number), str(version))
        pictures = random.Random(number).randbytes(2000 if number % 4 == 0 else 150).hex()
        return (*row[:6], f'["{pictures}"]', row[7])


def sizes(conn: Connection) -> dict[str, int]:
    """Return the size of the table and its parts, in bytes."""
    return dict(zip(("total", "heap", "index", "toast"), ask(conn, _SIZES)[0], strict=True))


def own_bytes(conn: Connection) -> int:
    """Return the size of carsync's own tables, but for the changes, which age alone forgets."""
    return int(ask(conn, _OWN)[0][0])


def do_as_autovacuum(conn: Connection) -> None:
    """Vacuum what autovacuum, the server's settings being the defaults, would have by now."""
    ask(conn, "SELECT pg_stat_force_next_flush()")
    for (name,) in ask(conn, _DEAD):
        ask(conn, f"VACUUM (ANALYZE) {name}")


def test_fifty_daily_runs_of_2_percent_churn_grow_the_table_by_less_than_20_percent(
    conn: Connection,
) -> None:
    rig = Rig(conn)
    feed = Feed(seed=1)
    rig.sync(*feed.pages())
    staging.drop(conn, rig.run.run_id)
    ask(conn, "VACUUM ANALYZE public.cars")
    first = sizes(conn)
    growth = dict.fromkeys(first, 0.0)
    for _ in range(DAYS):
        feed.pass_a_day()
        counts = rig.sync(*feed.pages())
        assert counts.updated == round(CARS * CHANGED)
        assert counts.inserted == counts.deactivated == round(CARS * NEW)
        staging.drop(conn, rig.run.run_id)
        do_as_autovacuum(conn)
        growth = {
            part: max(growth[part], now / first[part] - 1) for part, now in sizes(conn).items()
        }
    print({part: f"{share:.1%}" for part, share in growth.items()}, own_bytes(conn))
    assert growth["total"] < MAX_GROWTH
    left = "SELECT relname FROM pg_class WHERE relnamespace = 'carsync'::regnamespace "
    left += "AND relkind = 'r' AND relname ~ '[0-9]'"
    assert ask(conn, left) == [], "staging, ledger and delta are gone"
    assert own_bytes(conn) < MAX_OWN_BYTES
    assert ask(conn, _CHANGES)[0][0] < MAX_CHANGE_BYTES
