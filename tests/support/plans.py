"""Page plans made without a configuration file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from carsync.config.api_sections import Api, Pagination
from carsync.model import PageInfo
from carsync.source.pagination.base import load_paginator
from carsync.source.pagination.feed_plan import FeedPlan
from carsync.source.pagination.plan import PagePlan


def plan_of(
    pagination: Pagination | None = None, only: int | None = None, ahead: float = math.inf
) -> PagePlan:
    """Plan a feed, by default one with the default keys."""
    keys = pagination or Pagination()
    return PagePlan(keys, load_paginator(Api(pagination=keys)), only, ahead)


def feed_plan_of(lists: Mapping[str, list[Any]] | None = None, **pagination: Any) -> FeedPlan:
    """Plan a feed, by default one with the default keys and without lists."""
    return FeedPlan(Api(lists=dict(lists or {}), pagination=Pagination(**pagination)))


def read_all(plan: PagePlan, sizes: Sequence[int], info: PageInfo) -> None:
    """Stage pages of so many records, whose answers all say `info`."""
    for page, records in enumerate(sizes, start=1):
        plan.mark_staged(page, records, info)
