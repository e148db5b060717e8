"""The ledger against the tables: nothing is merged of a run that lost a page or a row."""

from __future__ import annotations

import pytest

from carsync.destination import merge, staging, verify
from carsync.errors import StagingLostError, UnmergeableError
from carsync.postgres import connection
from tests.conftest import ask
from tests.support.merge_rig import Rig, cars, page, reject


def test_missing_page_refuses_the_merge(rig: Rig) -> None:
    rig.sync(cars(range(5)))
    rig.begin()
    rig.stage(page(1, cars(range(3))))
    with pytest.raises(StagingLostError, match=r"not all pages of run .* 1 missing"):
        merge.merge(rig.conn, rig.request(2))
    assert len(rig.active()) == 5


@pytest.mark.parametrize("lost", ["seen", "ledger", "rejects"])
def test_emptied_table_refuses_the_merge(rig: Rig, lost: str) -> None:
    rig.sync(cars(range(5)))
    rig.begin()
    rig.stage(page(1, cars(range(2)), [reject(3, "2")]), page(2, cars(range(3, 5))))
    name = "rejects" if lost == "rejects" else f"{lost}_{rig.run.run_id}"
    ask(rig.conn, f"TRUNCATE carsync.{name}")
    with pytest.raises((StagingLostError, UnmergeableError)):
        merge.merge(rig.conn, rig.request(2, counted=(4, 4)))
    assert len(rig.active()) == 5


def test_dropped_staging_is_reported_as_lost(rig: Rig) -> None:
    rig.begin()
    staging.drop(rig.conn, rig.run.run_id)
    with pytest.raises(StagingLostError, match="is missing"):
        merge.merge(rig.conn, rig.request(1))
    with pytest.raises(StagingLostError):
        verify.check_exists(rig.conn, rig.run.run_id)


def test_staged_rows_ids_and_rejects_are_counted(rig: Rig) -> None:
    rig.begin()
    rig.stage(page(1, cars([1, 2]), [reject(2, None)]), page(2, cars([2]), [reject(1, "9")]))
    rig.stage(page(4, [], [reject(0, "1")]))
    with connection.transaction(rig.conn, "measuring") as cur:
        staged = verify.measure(cur, rig.run.run_id)
        assert staged == verify.check(cur, rig.run.run_id, [range(1, 5)], frozenset({3}))
    assert (staged.rows, staged.ids, staged.rejects, staged.rejects_without_id) == (3, 2, 3, 1)
    assert (staged.unstaged_reject_ids, staged.seen) == (1, 3)
    assert staged.last_merge is None


def test_ids_are_counted_again_where_rows_have_come_since(rig: Rig) -> None:
    rig.begin()
    rig.stage(page(1, cars([1, 2, 2])))
    with connection.transaction(rig.conn, "measuring") as cur:
        as_before, afresh = (
            verify.check(cur, rig.run.run_id, [range(1, 2)], counted=counted)
            for counted in ((3, 9), (2, 9))
        )
    assert (as_before.rows, as_before.ids, afresh.rows, afresh.ids) == (3, 9, 3, 2)


def test_a_ledger_that_does_not_add_up_names_both_sums(rig: Rig) -> None:
    rig.begin()
    rig.stage(page(1, cars(range(3))))
    ask(rig.conn, f"UPDATE carsync.ledger_{rig.run.run_id} SET rows = 4")
    with pytest.raises(UnmergeableError, match="does not add up") as caught:
        merge.merge(rig.conn, rig.request(1))
    assert "rows: 4 in the ledger, 3 staged" in caught.value.detail
