"""`carsync approve` from end to end: a capped run holds, a human looks and says yes."""

from __future__ import annotations

import requests

from carsync.demo.feed import FeedOptions
from tests.e2e.conftest import Fill, OpenSite
from tests.support.oracle import Oracle
from tests.support.site import SimulatedSite

SHRINKING = FeedOptions(cars=200, changed_share=0.05, added_share=0, removed_share=0.2)


def _show(site: SimulatedSite, snapshot: int) -> None:
    url = f"{site.server.origin}/_sim/snapshot"
    assert requests.post(url, params={"n": snapshot}, timeout=5).ok


def test_approve_deactivates_exactly_the_cars_that_a_capped_run_held(
    open_site: OpenSite, fill: Fill
) -> None:
    site = open_site(SHRINKING)
    fill(site)
    _show(site, 1)
    gone = site.truth(0).keys() - site.truth(1).keys()
    oracle = Oracle(site, snapshots=(1,))
    held = site.sync(expect=6)
    still_there = {i: h for i, h in site.truth(0).items() if i in gone}
    oracle.judge(held, after={**still_there, **oracle.truth})

    run = str(held.report["run_id"])
    assert f"carsync approve {run}" in held.said
    before = site.rows()
    look = site.run("approve", run, "--dry-run", "--json")
    assert {car["id"] for car in look.report["cars"]} == gone
    assert site.rows() == before

    approved = site.run("approve", run, "--yes", "--json")
    assert approved.report["deactivated"] == len(gone)
    assert site.inactive() == gone
    oracle.judge(approved)
    assert site.run("approve", run, "--yes").out.startswith(f"Run {run} was already approved")

    oracle.recover()
    late = site.run("approve", run, "--yes")
    assert late.exit_code == 0, "the record of the approval outlives later runs"
