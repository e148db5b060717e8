"""Anybody may create functions in `public`: none is run as carsync's role but by the target."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import product

import pytest

from carsync.config.sections import LoadMethod
from carsync.deactivation import approval
from carsync.destination import migrations
from carsync.postgres import connection
from carsync.postgres.wait import Connection
from carsync.redaction import Secret
from tests.conftest import ask
from tests.support.merge_rig import COLUMNS, SOURCE, TARGET, Rig, car, cars, page, reject, revert

# As the owner's own triggers do it: names without a schema, at once and at COMMIT.
OWN = """
CREATE TABLE public.cars (id varchar(40) PRIMARY KEY, source_api varchar(40), make varchar(40),
    data_hash varchar(40), status varchar(40));
CREATE TABLE public.audit (car text);
CREATE FUNCTION public.is_fine(text) RETURNS boolean LANGUAGE plpgsql
    AS $$ BEGIN RETURN own_length($1) < 40; END $$;
CREATE FUNCTION public.own_length(text) RETURNS integer LANGUAGE sql AS 'SELECT length($1)';
ALTER TABLE public.cars ADD CHECK (public.is_fine(make));
CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN INSERT INTO audit VALUES (coalesce(NEW.id, OLD.id)); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT OR UPDATE ON public.cars
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.audit();
"""
OPERATOR = """
CREATE OPERATOR public.{name} (FUNCTION = public.trap, LEFTARG = {left}, RIGHTARG = {right})
"""
CLOSER = [
    "unnest(text[])",
    "array_remove(text[], text)",
    "array_agg(integer)",
    "concat(text, text)",
    "hashtextextended(text, integer)",
    "make_interval(secs numeric)",
    "generate_series(bigint, integer)",
    "row_security_active(oid, integer)",
    "jsonb_build_object(text, timestamptz, text, name)",
]
TYPES = ("text", "varchar", "bpchar")
FOREIGN = [pair for pair in product(TYPES, TYPES) if pair not in {("text",) * 2, ("bpchar",) * 2}]


def set_traps(conn: Connection) -> None:
    """Offer closer matches for what statements call; each fails when it is called."""
    body = "LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped' USING ERRCODE = 'XX000'; END $$"
    for signature in CLOSER:
        ask(conn, f"CREATE FUNCTION public.{signature} RETURNS integer {body}")
    for left, right in FOREIGN:
        ask(conn, f"CREATE FUNCTION public.trap({left}, {right}) RETURNS boolean {body}")
        for name in ("=", "<>", "<", ">", "||"):
            ask(conn, OPERATOR.format(name=name, left=left, right=right))


@pytest.fixture
def trapped(empty_dsn: str) -> Iterator[tuple[str, Connection]]:
    """A target with triggers of its own, in a database where anybody may have set traps."""
    with closing(connection.connect(Secret(empty_dsn), application_name="carsync test")) as conn:
        ask(conn, OWN)
        set_traps(conn)
        yield empty_dsn, conn


@pytest.mark.parametrize("method", ["execute_values", "copy"])
def test_a_closer_match_in_public_is_never_called(
    trapped: tuple[str, Connection], method: LoadMethod
) -> None:
    """And triggers and checks of the target find their names, at COMMIT too."""
    dsn, conn = trapped
    migrations.migrate(conn, TARGET, COLUMNS)
    rig = Rig(conn)
    assert rig.sync(cars(range(12))).inserted == 12
    rig.begin()
    rig.stage(page(1, cars(range(1, 9), "b"), [reject(8, "9")]), method=method)
    changed = rig.run.run_id
    counts = rig.merge_staged(1, "hold")
    assert (counts.updated, counts.held, counts.kept) == (8, 3, 0)
    shown = [car.id for car in approval.review(conn, TARGET, SOURCE, changed, 48).to_approve]
    assert len(approval.approve(conn, TARGET, SOURCE, changed, 48, shown).to_approve) == 3
    assert revert(dsn, changed)[1].total == 11
    assert ask(conn, "SELECT count(*) FROM public.audit") == [(12 + 8 + 3 + 11,)]
    # By halves, where a row is refused.
    ask(conn, "CREATE UNIQUE INDEX ON public.cars (nullif(make, 'Kia'))")
    counts = rig.sync([*cars(range(12), "c"), *(car(i, make="Ford") for i in ("x", "y"))])
    assert (counts.updated, counts.inserted, counts.rejected) == (12, 1, 1)
