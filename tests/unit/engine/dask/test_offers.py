"""Who may have a lease: workers with the same feed, mapping, versions and label alone."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from carsync.config.api_sections import Record
from carsync.engine.base import GivenFeed
from carsync.engine.dask.offers import Offer, versions
from tests.support.findings import keyed_config

OURS = versions()
ONE = Offer("external", "public.cars", "f1", "m1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"versions": OURS | {"carsync": "9.9"}}, "it has carsync 9.9, the run "),
        ({"versions": OURS | {"distributed": "2020.1"}}, "it has distributed 2020.1, the run "),
        ({"versions": OURS | {"python": "2.7"}}, "it has python 2.7, the run "),
        ({"source": "other"}, "it reads public.cars/other"),
        ({"table": "public.vans"}, "it reads public.vans/external"),
        ({"feed": "f2"}, "its api.base_url"),
        ({"mapping": "m2"}, "its mapping or hash differs"),
        ({"record": "r2"}, "its api.record differs"),
        ({"labels": ("egress-a",)}, ""),
    ],
)
def test_a_worker_fits_by_its_offer_and_by_its_resource_alike(
    change: dict[str, Any], words: str
) -> None:
    other = replace(ONE, **change)
    assert ONE.misfit(other, None).startswith(words)
    assert bool(ONE.misfit(other, None)) == bool(words)
    assert (ONE.resource(None) in other.resources) == (not words)


def test_a_feed_with_a_label_is_for_workers_with_it() -> None:
    both = replace(ONE, labels=("a", "b"))
    assert [both.misfit(ONE, "a"), ONE.misfit(both, "a")] == ["it has no label a", ""]
    assert ONE.resource("a") in both.resources
    assert ONE.resource("a") not in ONE.resources
    assert len(set(both.resources)) == 3


def test_an_offer_holds_what_a_configuration_reads_and_no_secret() -> None:
    config = keyed_config("database: {table: vans}\nsync: {source: east}")
    config = replace(config, api=replace(config.api, params={"k": "v"}))
    given = GivenFeed(config, {"feed": "f", "mapping": "m", "other": "o"})
    other = replace(config, api=replace(config.api, record=Record(gone_status=(404,))))
    assert Offer.of(given).misfit(Offer.of(replace(given, config=other)), None)
    offer = Offer.of(given, ("a",))
    assert (offer.place, offer.feed, offer.mapping, offer.labels) == (
        "public.vans/east",
        "f",
        "m",
        ("a",),
    )
